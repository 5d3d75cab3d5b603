//! What a record has besides its payload: from the settings, and from the event's label.

use std::borrow::Cow;

use fantail_sdk::{LabelPart, List, PluginError, Template, Timestamp};

use crate::settings::{Format, Settings, Severity};

/// How records look, whatever log they are for.
pub(crate) struct Style {
    pub(crate) facility: u8,
    severity: Severity,
    pub(crate) app_name: String,
    /// Whether records for syslog are those of RFC 5424.
    pub(crate) is_rfc5424: bool,
    /// The values of the event that are written, with their names in both logs.
    pub(crate) fields: Vec<Field>,
    /// The event's host and name, for RFC 5424.
    pub(crate) hostname: Template,
    pub(crate) event: Template,
    /// All that is wanted of an event.
    pub(crate) wants: Vec<LabelPart>,
}

/// A value of the event that is written beside the payload.
pub(crate) struct Field {
    /// `user`.
    pub(crate) name: String,
    /// `FANTAIL_USER`.
    pub(crate) journal_name: String,
    pub(crate) value: Template,
}

/// The longest name of structured data.
const NAME_MAX: usize = 32;

impl Style {
    /// # Errors
    ///
    /// Which setting makes no sense.
    pub(crate) fn new(settings: &Settings) -> Result<Self, PluginError> {
        let name = &settings.log_app_name;
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b':' && byte != b'[';
        if !(1..=48).contains(&name.len()) || !name.bytes().all(is_plain) {
            return Err(PluginError::new(
                "log_app_name must be 1 to 48 printable characters without spaces, `:` and `[`",
            ));
        }
        let is_rfc5424 = settings.log_format == Format::Rfc5424;
        let mut wants = Vec::new();
        let mut fields = Vec::new();
        for name in &settings.log_fields {
            fields.push(Field::new(name, &mut wants)?);
        }
        let mut own = |text: &str| {
            let text = if is_rfc5424 { text } else { "" };
            Template::parse_beside(text, &mut wants)
                .map_err(|error| PluginError::new(error.to_string()))
        };
        let (hostname, event) = (own("%{hostname}")?, own("%{event}")?);
        let is_of_event = settings.log_severity == Severity::Event;
        for (part, is_wanted) in
            [(LabelPart::EndTime, is_rfc5424), (LabelPart::LogType, is_of_event)]
        {
            if is_wanted && !wants.contains(&part) {
                wants.push(part);
            }
        }
        Ok(Style {
            facility: settings.log_facility as u8,
            severity: settings.log_severity,
            app_name: name.clone(),
            is_rfc5424,
            fields,
            hostname,
            event,
            wants,
        })
    }

    /// The severity of an event with this label, as syslog's number.
    pub(crate) fn severity(&self, label: &List<'_>) -> u8 {
        if self.severity != Severity::Event {
            return self.severity as u8;
        }
        match self.part(&LabelPart::LogType, label).as_deref() {
            Some(b"0") => 7,
            Some(b"2") => 4,
            Some(b"3") => 3,
            Some(b"4") => 2,
            Some(b"5") => 1,
            _ => 6,
        }
    }

    /// When the event with this label ended, if that is wanted.
    pub(crate) fn time(&self, label: &List<'_>) -> Option<Timestamp> {
        let micros = self.part(&LabelPart::EndTime, label)?;
        let micros = std::str::from_utf8(&micros).ok()?.parse().ok()?;
        Some(Timestamp::from_micros(micros))
    }

    fn part<'a>(&self, part: &LabelPart, label: &List<'a>) -> Option<Cow<'a, [u8]>> {
        label.get(self.wants.iter().position(|wanted| wanted == part)?)
    }
}

impl Field {
    fn new(name: &str, wants: &mut Vec<LabelPart>) -> Result<Self, PluginError> {
        let plain = name.strip_prefix("field:").unwrap_or(name);
        let is_name = |byte: u8| byte.is_ascii_graphic() && !b"=]\"|{}%".contains(&byte);
        if !(1..=NAME_MAX).contains(&plain.len()) || !plain.bytes().all(is_name) {
            return Err(PluginError::new(format!(
                "log_fields: `{name}` must be a name of at most {NAME_MAX} printable characters \
                 without spaces, `=`, `]`, `|`, `%`, braces and quotes"
            )));
        }
        let value = Template::parse_beside(&format!("%{{{name}}}"), wants)
            .map_err(|error| PluginError::new(format!("log_fields: `{name}`: {error}")))?;
        let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let journal_name = format!("FANTAIL_{}", plain.chars().map(upper).collect::<String>());
        Ok(Field { name: plain.to_owned(), journal_name, value })
    }
}

/// The text of a template for a label, as it is.
pub(crate) fn expand<'b>(template: &Template, label: &List<'_>, text: &'b mut Vec<u8>) -> &'b [u8] {
    text.clear();
    template.expand(label, text, |value, text| text.extend_from_slice(value));
    text
}
