//! Plugins' settings: typed, checked and defaulted by the JSON Schemas that
//! the plugins carry.
//!
//! A schema is an object with `properties` and `required`. Of a property these
//! are understood: `type` (string, integer, boolean, array of strings, object of
//! strings; with null it is optional), `enum` and `oneOf` with `const`, `minimum` and
//! `maximum`, `default`, `description`, `format` (`milliseconds`, `bytes`,
//! `path-to-create`: a file that the plugin makes in a directory that must exist),
//! `writeOnly` (a secret), `x-aliases` (other names), `x-global` (a setting
//! of the same name at the top level is the default of every exporter) and
//! `x-creates-directories` (when it is `yes`, a file's directory need not exist).
//! `anyOf` with null is looked through. There are no references: a plugin's
//! schema has every part in place.

use serde_json::{Map, Value};

use super::value::{self, Wrong};

/// The schemas of the plugins that exist.
pub trait Schemas {
    /// The schema of a driver's settings.
    fn driver(&self, name: &str) -> Option<&Value>;
    /// The schema of a format's settings.
    fn format(&self, name: &str) -> Option<&Value>;
    /// The drivers that exist.
    fn driver_names(&self) -> Vec<&str>;
    /// The formats that exist.
    fn format_names(&self) -> Vec<&str>;
    /// Whether there is a plugin of this name, or a file that is called so.
    fn knows(&self, name: &str) -> bool {
        self.driver(name).or_else(|| self.format(name)).is_some()
    }
}

/// One setting of a plugin.
#[derive(Clone, Debug)]
pub struct Property<'a> {
    /// Its name.
    pub name: &'a str,
    /// Other names that users may write.
    pub aliases: Vec<&'a str>,
    /// The type of its value.
    pub kind: PropertyKind<'a>,
    /// What it is when the configuration does not say.
    pub default: Option<&'a Value>,
    /// Whether the configuration has to say.
    pub required: bool,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// Whether a top-level setting of its name is every exporter's default.
    pub global: bool,
    /// Whether it is the path of a file that the plugin makes, in a directory that
    /// must exist.
    pub creates: bool,
    /// Whether the plugin makes directories, too, when this is `yes`.
    pub creates_directories: bool,
    /// What it means.
    pub description: &'a str,
}

/// The type of a plugin's setting.
#[derive(Clone, Debug, PartialEq)]
pub enum PropertyKind<'a> {
    /// Any text.
    Text,
    /// One of these words.
    Choice(Vec<&'a str>),
    /// `yes` or `no`.
    Boolean,
    /// A whole number within a range.
    Integer(i64, i64),
    /// A number of milliseconds within a range, written `250 ms`.
    Milliseconds(i64, i64),
    /// A number of bytes within a range, written `64k`.
    Bytes(i64, i64),
    /// Words.
    List,
    /// Texts under names: a block of `name = text` lines, or words `name=text`.
    Map,
}

/// The settings of a schema, in its order.
pub fn properties(schema: &Value) -> Vec<Property<'_>> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Vec::new();
    };
    let required = strings(schema.get("required"));
    properties
        .iter()
        .map(|(name, property)| Property::new(name, property, required.contains(&name.as_str())))
        .collect()
}

impl<'a> Property<'a> {
    fn new(name: &'a str, outer: &'a Value, required: bool) -> Self {
        let inner = without_null(outer);
        let get = |key: &str| outer.get(key).or_else(|| inner.get(key));
        let flag = |key: &str| get(key).and_then(Value::as_bool).unwrap_or(false);
        let default = get("default").filter(|default| !default.is_null());
        Property {
            name,
            aliases: strings(get("x-aliases")),
            kind: PropertyKind::new(inner, &get),
            default,
            required: required && default.is_none(),
            secret: flag("writeOnly"),
            global: flag("x-global"),
            creates: get("format").and_then(Value::as_str) == Some("path-to-create"),
            creates_directories: get("x-creates-directories") == Some(&Value::Bool(true)),
            description: get("description").and_then(Value::as_str).unwrap_or(""),
        }
    }

    /// Whether this is the setting's name or one of its aliases.
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

impl<'a> PropertyKind<'a> {
    fn new(property: &'a Value, get: &dyn Fn(&str) -> Option<&'a Value>) -> Self {
        let words = choices(property);
        if !words.is_empty() {
            return PropertyKind::Choice(words);
        }
        let min = get("minimum").and_then(Value::as_i64);
        let max = get("maximum").and_then(Value::as_i64).unwrap_or(i64::MAX);
        let types = match property.get("type") {
            Some(Value::String(one)) => vec![one.as_str()],
            several => strings(several),
        };
        match types.into_iter().find(|&name| name != "null") {
            Some("integer" | "number") => match get("format").and_then(Value::as_str) {
                Some("milliseconds") => PropertyKind::Milliseconds(min.unwrap_or(0), max),
                Some("bytes") => PropertyKind::Bytes(min.unwrap_or(0), max),
                _ => PropertyKind::Integer(min.unwrap_or(i64::MIN), max),
            },
            Some("boolean") => PropertyKind::Boolean,
            Some("array") => PropertyKind::List,
            Some("object") => PropertyKind::Map,
            _ => PropertyKind::Text,
        }
    }

    /// A written value as the plugin gets it.
    ///
    /// # Errors
    ///
    /// The value is not of this type; the text completes "`x` ...".
    pub fn read(&self, written: &str) -> Result<Value, Wrong> {
        let within = |number: u64, min: i64, max: i64, print: fn(i64) -> String| {
            let number = i64::try_from(number).map_err(|_| "is too large".to_owned())?;
            if number < min {
                return Err(format!("is less than {}", print(min)));
            }
            if number > max {
                return Err(format!("is more than {}", print(max)));
            }
            Ok(Value::from(number))
        };
        match self {
            PropertyKind::Text => Ok(Value::from(written)),
            PropertyKind::Choice(words) if words.contains(&written) => Ok(Value::from(written)),
            PropertyKind::Choice(words) => Err(format!("is none of {}", words.join(", "))),
            PropertyKind::Boolean => value::boolean(written).map(Value::from),
            PropertyKind::Integer(min, max) => value::number(written, *min, *max).map(Value::from),
            PropertyKind::Milliseconds(min, max) => {
                let length = value::duration(written)?.as_millis();
                let length = u64::try_from(length).map_err(|_| "is too long".to_owned())?;
                within(length, *min, *max, |ms| print_number(ms, "milliseconds"))
            }
            PropertyKind::Bytes(min, max) => {
                within(value::size(written)?, *min, *max, |bytes| print_number(bytes, "bytes"))
            }
            PropertyKind::List => {
                Ok(value::words(written).into_iter().map(|range| &written[range]).collect())
            }
            PropertyKind::Map => {
                let words = value::words(written).into_iter().map(|range| &written[range]);
                let pairs = words.map(|word| match word.split_once('=') {
                    Some((name, text)) => Ok((name.to_owned(), Value::from(text))),
                    None => Err("has a word that is not NAME=VALUE".to_owned()),
                });
                Ok(Value::Object(pairs.collect::<Result<_, _>>()?))
            }
        }
    }

    /// A value as it would be written.
    pub fn print(&self, value: &Value) -> String {
        match (self, value) {
            (PropertyKind::Milliseconds(..), Value::Number(number)) => {
                print_number(number.as_i64().unwrap_or(0), "milliseconds")
            }
            (PropertyKind::Bytes(..), Value::Number(number)) => {
                print_number(number.as_i64().unwrap_or(0), "bytes")
            }
            (_, Value::Bool(true)) => "yes".to_owned(),
            (_, Value::Bool(false)) => "no".to_owned(),
            (_, Value::String(text)) => text.clone(),
            (_, Value::Array(words)) => {
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                super::effective::print_words(&words)
            }
            (_, Value::Object(pairs)) => {
                let text = |text: &Value| text.as_str().unwrap_or_default().to_owned();
                let words: Vec<String> =
                    pairs.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
                super::effective::print_words(&words.iter().map(String::as_str).collect::<Vec<_>>())
            }
            (_, other) => other.to_string(),
        }
    }
}

fn print_number(number: i64, format: &str) -> String {
    let number = u64::try_from(number).unwrap_or(0);
    match format {
        "milliseconds" => value::print_duration(std::time::Duration::from_millis(number)),
        _ => value::print_size(number),
    }
}

/// What `anyOf` says beside null.
fn without_null(property: &Value) -> &Value {
    let choices = property.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    let mut choices = choices.filter(|choice| choice.get("type") != Some(&Value::from("null")));
    choices.next().unwrap_or(property)
}

/// The words of an `enum`, or of a `oneOf` of `const`s.
fn choices(property: &Value) -> Vec<&str> {
    let one_of = property.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let consts = one_of.flat_map(|choice| match choice.get("const") {
        Some(word) => word.as_str().into_iter().collect(),
        None => strings(choice.get("enum")),
    });
    strings(property.get("enum")).into_iter().chain(consts).collect()
}

fn strings(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// A plugin's settings as it gets them.
pub type Settings = Map<String, Value>;
