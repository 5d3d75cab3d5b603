//! `metric` blocks to typed metrics.

use super::diagnostic::Diagnostic;
use super::filter_check::FilterCheck;
use super::group_by;
use super::old_filter;
use super::reader::{Reader, Section};
use super::settings::{Include, MetricConfig};
use super::source::Placed;
use super::table::{BlockKind, INCLUDES};
use super::tree::BlockId;
use super::value;

/// Reads one `metric` block. One with errors comes out as well, so that what it
/// refers to is known.
pub(super) fn read(
    reader: &mut Reader<'_>,
    id: BlockId,
    check_filter: &FilterCheck<'_>,
) -> MetricConfig {
    let section = Section { id, kind: BlockKind::Metric };
    let name = reader.name(section);
    let is_known = |key: &str| key == "group_by" || old_filter::KEYS.contains(&key);
    reader.refuse_unknown(section, "", is_known, old_filter::KEYS);
    let filter = filter(reader, section, check_filter);
    let fields = reader.list(section, "fields");
    let exporter = reader.text(section, "exporter");
    let exporter_include = include(reader, section);
    let description =
        reader.text(section, "description").map_or_else(String::new, |text| text.value);
    let group_by = group_by::read(reader, section);
    let group_by_max_series = reader.count(section, "group_by_max_series");
    MetricConfig {
        name,
        filter,
        fields,
        exporter,
        exporter_include,
        description,
        group_by,
        group_by_max_series,
    }
}

fn filter(
    reader: &mut Reader<'_>,
    section: Section,
    check_filter: &FilterCheck<'_>,
) -> Placed<String> {
    let title = reader.block(section).title();
    let text = reader.written(section, "filter").filter(|text| !text.as_str().trim().is_empty());
    let old = old_filter::read(reader, section);
    if let (Some(text), Some(_)) = (&text, &old) {
        let message = format!("{title} has two filters");
        let help = "`filter = ...` says it all; event_name, categories, source_location and \
                    `filter {` are its parts before Dovecot 2.3.12";
        reader.error(text.place(), message, help);
    }
    let text = text.or(old);
    let Some(text) = text else {
        let place = reader.block(section).place();
        let message = format!("{title} has no filter");
        let help = "it would match nothing; `event=*` matches every named event";
        reader.absent(section, "filter", message, help);
        return Placed::new(String::new(), place);
    };
    let problems = check_filter(text.as_str());
    reader.diagnostics.extend(problems.into_iter().map(|problem| {
        let message = format!("filter of {title}: {}", problem.message);
        Diagnostic::new(problem.severity, Some(text.place_of(problem.span)), message)
    }));
    Placed::new(text.as_str().to_owned(), text.place())
}

fn include(reader: &mut Reader<'_>, section: Section) -> Include {
    let mut include = Include::default();
    for word in reader.list(section, "exporter_include") {
        if switch_on(&mut include, &word.value) {
            continue;
        }
        let message = format!("nothing of an event is called `{}`", word.value);
        let mut problem = Diagnostic::warning(word.place, message);
        if let Some(near) = value::nearest(&word.value, INCLUDES.iter().copied()) {
            problem = problem.label(format!("did you mean `{near}`?"));
        }
        reader.diagnostics.push(problem.help(INCLUDES.join(" ")));
    }
    include
}

/// Has what is called `word` exported as well; false when nothing is called that.
pub(super) fn switch_on(include: &mut Include, word: &str) -> bool {
    match word {
        "name" => include.name = true,
        "hostname" => include.hostname = true,
        "timestamps" => include.timestamps = true,
        "categories" => include.categories = true,
        "fields" => include.fields = true,
        _ => return false,
    }
    true
}
