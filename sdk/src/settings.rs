//! Settings of plugins: a struct of the author's, checked by the host.
//!
//! The struct's JSON Schema travels with the plugin. The host reads it to know
//! the settings' names, types, defaults and meaning; so a mistake in a
//! configuration is reported with file, line and column before anything starts,
//! and `fantail plugins show NAME` prints a table of what can be set.

use std::{borrow::Cow, time::Duration};

use schemars::{generate::SchemaSettings, json_schema, JsonSchema, Schema, SchemaGenerator};
use serde::{de::DeserializeOwned, Deserialize, Serialize};

/// What a plugin's settings must be: readable from JSON, and described by a schema.
///
/// [`settings!`](crate::settings) makes a struct into that.
pub trait Settings: DeserializeOwned + JsonSchema {}

impl<T: DeserializeOwned + JsonSchema> Settings for T {}

/// The settings of a plugin that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NoSettings {}

/// A length of time in a configuration (`250 ms`, `5 min`), in whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

/// A size in a configuration (`64k`, `32 MiB`), in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Millis {
    /// The same as a `Duration`.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl JsonSchema for Millis {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Millis".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "format": "milliseconds", "minimum": 0 })
    }
}

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "format": "bytes", "minimum": 0 })
    }
}

/// The JSON Schema of `S`, every part of it in place (no references).
pub(crate) fn schema<S: Settings>() -> String {
    let generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    serde_json::to_string(&generator.into_root_schema_for::<S>())
        .expect("invariant: a schema is a JSON value")
}

/// Makes a struct (or an enum used in one) into plugin settings.
///
/// Each field is a setting of its name; its doc comment is what users read about
/// it. Give every field that is not required a default, by `#[serde(default = "...")]`
/// on the field or `#[serde(default)]` on the struct. Times are [`Millis`],
/// sizes are [`Bytes`](crate::Bytes). A `Vec<String>` is written as words, a
/// `BTreeMap<String, String>` as a block of `name = text` lines.
///
/// Five extensions of the schema tell the host more about a field:
/// `#[schemars(extend("x-aliases" = ["old_name"]))]` names others that users may
/// write, `#[schemars(extend("x-global" = true))]` lets a setting outside of every
/// block stand for all exporters, `#[schemars(extend("writeOnly" = true))]` keeps a
/// secret out of everything the host prints,
/// `#[schemars(extend("format" = "path-to-create"))]` says that the plugin will make a
/// file of this path, so that the host warns when its directory (as far as it stands before a
/// `%{`) does not exist, and `#[schemars(extend("x-creates-directories" = true))]` on a `bool`
/// that the plugin makes that, too, if it is `yes`.
///
/// ```
/// fantail_sdk::settings! {
///     /// Where to and how patiently.
///     pub struct Settings {
///         /// The pager's number.
///         pager_number: String,
///         /// How long to wait for it to answer.
///         #[serde(default = "answer_timeout")]
///         pager_timeout: fantail_sdk::Millis,
///     }
/// }
///
/// fn answer_timeout() -> fantail_sdk::Millis {
///     fantail_sdk::Millis(250)
/// }
/// ```
#[macro_export]
macro_rules! settings {
    ($item:item) => {
        #[derive(
            $crate::serde::Serialize, $crate::serde::Deserialize, $crate::schemars::JsonSchema,
        )]
        #[serde(crate = "fantail_sdk::serde", rename_all = "snake_case", deny_unknown_fields)]
        #[schemars(crate = "fantail_sdk::schemars")]
        $item
    };
}
