//! Where a payload's line belongs: a path with values of the event.
//!
//! A value can't leave its place in the path: see [`component`].

use std::path::Path;

use fantail_sdk::{LabelPart, List, Template};

use crate::rotated;

/// The longest piece of a value that goes into a path, in bytes.
const VALUE_MAX: usize = 200;

/// A path, the same for all payloads or made for each.
pub(crate) struct PathTemplate {
    template: Template,
}

impl PathTemplate {
    /// # Errors
    ///
    /// What is wrong with the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let template = Template::parse(text).map_err(|error| error.to_string())?;
        match template.constant() {
            Some("") => Err("is empty".to_owned()),
            _ if text.ends_with('/') => Err("names a directory, not a file".to_owned()),
            _ => Ok(PathTemplate { template }),
        }
    }

    /// The path, when it is the same for all payloads.
    pub(crate) fn constant(&self) -> Option<&Path> {
        self.template.constant().map(Path::new)
    }

    /// Whether the directory is there that all paths begin with: if not, no value is at fault.
    pub(crate) fn has_base(&self) -> bool {
        // The prefix may end within a name, or with a slash.
        match self.template.prefix().rsplit_once('/') {
            Some(("", _)) | None => true,
            Some((directory, _)) => Path::new(directory).is_dir(),
        }
    }

    /// What of an event decides.
    pub(crate) fn wants(&self) -> &[LabelPart] {
        self.template.wants()
    }

    /// Writes the path of a payload with this label.
    pub(crate) fn of(&self, label: &List<'_>, path: &mut Vec<u8>) {
        path.clear();
        self.template.expand(label, path, component);
        // A name that only a rotated file has would be taken for one.
        if rotated::is_name(path) {
            path.push(b'_');
        }
    }
}

/// Appends a value as it may stand in a path. Control characters and `/` become `_`, and so does
/// a `.` at its start: no value is `..` or another directory, and none makes a hidden file. An
/// empty value is `_`. Of a long one the first 200 bytes are taken.
fn component(value: &[u8], path: &mut Vec<u8>) {
    if value.is_empty() {
        path.push(b'_');
    }
    for (index, &byte) in value.iter().take(VALUE_MAX).enumerate() {
        path.push(match byte {
            b'/' | 0..=0x1f | 0x7f => b'_',
            b'.' if index == 0 => b'_',
            byte => byte,
        });
    }
}

#[cfg(test)]
mod tests {
    use fantail_sdk::List;

    use super::PathTemplate;

    #[test]
    fn no_value_leaves_its_place() {
        let check = |template: &str, value: &str, expected: &str| {
            let path = PathTemplate::parse(template).unwrap();
            let label = List::escape(&[value]);
            let mut made = b"before".to_vec();
            path.of(&List::from_escaped(&label, 1), &mut made);
            assert_eq!(made.escape_ascii().to_string(), expected, "{value:?}");
        };
        check("/d/%{u}/f", "jo@example.com", "/d/jo@example.com/f");
        check("/d/%{u}", "", "/d/_");
        check("/d/%{u}", ".", "/d/_");
        check("/d/%{u}", "..", "/d/_.");
        check("/d/%{u}", "../../etc/passwd", "/d/_._.._etc_passwd");
        check("/d/%{u}/f", "/", "/d/_/f");
        check("/d/.%{u}", "", "/d/._");
        check("/d/.%{u}", ".", "/d/._");
        check("/d/%{u}%{u}", ".", "/d/__");
        check("/d/%{u}", ".bashrc", "/d/_bashrc");
        check("/d/%{u}", "a.b..", "/d/a.b..");
        check("/d/%{u}", "a\0b\nc\t\u{7f}d\u{fc}\u{1b}", "/d/a_b_c__d\\xc3\\xbc_");
        check("%{u}", &"x".repeat(300), &"x".repeat(200));
        check("/d/%{u}", "log.20261121T120000Z", "/d/log.20261121T120000Z_");
        check("/d/%{u}", "log.20261121T120000Z-7.gz", "/d/log.20261121T120000Z-7.gz_");
        check("/d/%{u}", "log.20261121T12000Z", "/d/log.20261121T12000Z");
    }

    #[test]
    fn what_is_no_path_of_a_file_is_refused() {
        let check = |text: &str, expected: &str| {
            assert_eq!(PathTemplate::parse(text).err().as_deref(), Some(expected), "{text}");
        };
        check("", "is empty");
        check("/d/%{u}/", "names a directory, not a file");
        check("/d/%{u", "character 7: expected `|` or `}`, but the text ends");
        assert!(PathTemplate::parse("/d/100%").unwrap().constant().is_some());
    }
}
