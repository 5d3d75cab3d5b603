//! Filters as metrics had them before Dovecot 2.3.12: `event_name`, `categories`,
//! `source_location` and a block `filter { field = value }`. An event has to have all
//! that is said. They are read as a filter of today.

use super::reader::{Reader, Section, split};
use super::text::Text;

/// The settings, by their only names. The block `filter` is called as today's setting is.
/// `metric_name` was the name of the block itself.
pub(super) const KEYS: &[&str] = &["event_name", "categories", "source_location", "name"];

/// What the old settings of a metric say, as text in the filter language; `None` when there
/// are none.
pub(super) fn read(reader: &mut Reader<'_>, section: Section) -> Option<Text> {
    let mut filter = Text::new(reader.block(section).place());
    let mut add = |test: &str, text: &Text| {
        if !filter.as_str().is_empty() {
            filter.push_standing_for(" AND ", text.place());
        }
        filter.push_standing_for(test, text.place());
    };
    if let Some(name) = value(reader, section, "event_name") {
        add(&format!("event={}", quoted(name.as_str())), &name);
    }
    if let Some(location) = value(reader, section, "source_location") {
        add(&format!("source_location={}", quoted(location.as_str())), &location);
    }
    if let Some(categories) = value(reader, section, "categories") {
        for category in split(&categories) {
            let place = Text::standing_for(&category.value, category.place);
            add(&format!("category={}", quoted(&category.value)), &place);
        }
    }
    let tree = reader.tree;
    for (id, block) in tree.children(section.id) {
        if section.kind.short_name(block.kind.as_str()) != "filter" || block.name.is_some() {
            continue;
        }
        for setting in &block.settings {
            let text = reader.variables.value(id, setting, &mut reader.diagnostics);
            let key = quoted(setting.key.as_str());
            add(&format!("{key}={}", quoted(text.as_str())), &setting.key);
        }
    }
    (!filter.as_str().is_empty()).then_some(filter)
}

/// The value of a setting that the block itself has, if it is not empty.
fn value(reader: &mut Reader<'_>, section: Section, name: &str) -> Option<Text> {
    let settings = &reader.block(section).settings;
    let found = settings.iter().rev().find(|setting| setting.key.as_str() == name)?;
    let text = reader.variables.value(section.id, found, &mut reader.diagnostics);
    (!text.as_str().is_empty()).then_some(text)
}

/// A word of the filter language that means this text. Wildcards stay what they are.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
