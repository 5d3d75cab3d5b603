//! A metric from arguments: what `doveadm stats add` and `fantail stats add` tell a
//! running host.
//!
//! Each argument means what the setting of its name means in a `metric` block, and an
//! empty one that there is none of it. What only the host can tell is left to it:
//! whether the name is free, and whether there is such an exporter.

use std::str;

use super::{
    filter_check::check_filter,
    group_by,
    metrics::switch_on,
    reader::split,
    settings::{Include, MetricConfig},
    source::{Place, Placed},
    table::{BlockKind, INCLUDES},
    text::Text,
    value,
};
use crate::{config::Severity, filter::Filter};

/// What the arguments are, in their order.
pub const ARGUMENTS: [&str; 7] =
    ["name", "description", "fields", "group_by", "filter", "exporter", "exporter_include"];

/// A metric to add.
#[derive(Debug)]
pub struct Added {
    /// The metric. The places of its values mean nothing.
    pub metric: MetricConfig,
    /// What is legal and surely not meant, a line each.
    pub warnings: Vec<String>,
}

/// Reads the arguments, which are [`ARGUMENTS`].
///
/// # Errors
///
/// The first thing that is wrong with them, in one line.
pub fn parse(arguments: &[&[u8]]) -> Result<Added, String> {
    let Ok(arguments) = <[&[u8]; ARGUMENTS.len()]>::try_from(arguments) else {
        let (got, wanted) = (arguments.len(), ARGUMENTS.len());
        let names = ARGUMENTS.join(", ");
        return Err(format!("got {got} arguments, expected {wanted}: {names}"));
    };
    let mut texts = [""; ARGUMENTS.len()];
    for ((text, argument), what) in texts.iter_mut().zip(arguments).zip(ARGUMENTS) {
        *text = str::from_utf8(argument).map_err(|_| format!("{what}: expected UTF-8"))?;
    }
    let [name, description, fields, levels, filter, exporter, include] = texts;
    if name.is_empty() {
        return Err("name: expected one, got nothing".into());
    }
    if filter.trim().is_empty() {
        return Err("filter: an empty one would match nothing; `event=*` matches every named \
                    event"
            .into());
    }
    Filter::parse(filter).map_err(|error| format!("filter: {error}"))?;
    let warnings = check_filter(filter).into_iter();
    let warnings = warnings.filter(|problem| problem.severity == Severity::Warning);
    let metric = MetricConfig {
        name: placed(name),
        filter: placed(filter),
        fields: words(fields),
        exporter: Some(exporter).filter(|name| !name.is_empty()).map(placed),
        exporter_include: included(include)?,
        description: description.to_owned(),
        group_by: group_by::parse(levels).map_err(|error| format!("group_by: {error}"))?,
        group_by_max_series: most_series(),
    };
    Ok(Added {
        metric,
        warnings: warnings
            .map(|problem| format!("filter of metric {name}: {}", problem.message))
            .collect(),
    })
}

fn placed(text: &str) -> Placed<String> {
    Placed::new(text.to_owned(), Place::default())
}

fn words(text: &str) -> Vec<Placed<String>> {
    split(&Text::standing_for(text, Place::default()))
}

/// Unlike a configuration, whose unknown words are warned of, this is refused: whoever
/// wrote it is there to hear it.
fn included(text: &str) -> Result<Include, String> {
    let mut include = Include::default();
    for word in words(text) {
        let word = word.value.as_str();
        if !switch_on(&mut include, word) {
            let known = INCLUDES.join(" ");
            let near = value::nearest(word, INCLUDES.iter().copied());
            let near = near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
            return Err(format!(
                "exporter_include: nothing of an event is called `{word}`{near} ({known})"
            ));
        }
    }
    Ok(include)
}

/// How many sub-metrics a metric may have that does not say.
fn most_series() -> usize {
    let setting = BlockKind::Metric.setting("group_by_max_series");
    setting
        .and_then(|setting| setting.default.parse().ok())
        .expect("invariant: the table has this setting, and its default is a number")
}

#[cfg(test)]
mod tests {
    use super::{ARGUMENTS, parse};
    use crate::config::{Checks, MetricConfig, check_filter, load, schema::Schemas};

    struct NoPlugins;

    impl Schemas for NoPlugins {
        fn driver(&self, _: &str) -> Option<&serde_json::Value> {
            None
        }

        fn format(&self, _: &str) -> Option<&serde_json::Value> {
            None
        }

        fn driver_names(&self) -> Vec<&str> {
            Vec::new()
        }

        fn format_names(&self) -> Vec<&str> {
            Vec::new()
        }
    }

    /// The metric of a configuration that has the same settings.
    fn configured(arguments: [&str; 7]) -> MetricConfig {
        let mut text = format!("metric {} {{\n", arguments[0]);
        for (key, value) in ARGUMENTS.iter().zip(arguments).skip(1) {
            if *key != "exporter" {
                text += &format!("  {key} = {value}\n");
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metric.conf");
        std::fs::write(&path, text + "}\n").unwrap();
        let checks = Checks { schemas: &NoPlugins, filter: &check_filter, inputs_required: false };
        let loaded = load(&[path], checks);
        let shown = loaded.diagnostics.render(false);
        loaded.config.expect(&shown).metrics.remove(0)
    }

    #[test]
    fn arguments_mean_what_the_settings_mean() {
        let check = |arguments: [&str; 7]| {
            let mut metric = parse(&arguments.map(str::as_bytes)).unwrap().metric;
            let exporter = metric.exporter.take().map(|exporter| exporter.value);
            assert_eq!(exporter.unwrap_or_default(), arguments[5]);
            assert_eq!(metric, configured(arguments), "{arguments:?}");
        };
        check(["m", "", "", "", "event=*", "", ""]);
        check(["m", "Two words", "a b, c", "", "event=* AND a > 5", "out", "name  fields"]);
        let levels = "user d:exponential:1:5:10 n:linear:0:50:20 a:discrete:%{value|domain}";
        check(["m/1", "", "a", levels, "event=x", "", "hostname timestamps categories"]);
    }

    #[test]
    fn a_name_may_be_anything() {
        let metric = parse(&[b"x\ty z\n", b"", b"", b"", b"event=x", b"", b""]).unwrap().metric;
        assert_eq!(metric.name.value, "x\ty z\n");
    }

    #[test]
    fn what_is_surely_not_meant_is_warned_of() {
        let warnings =
            |filter: &[u8]| parse(&[b"m", b"", b"", b"", filter, b"", b""]).unwrap().warnings;
        assert_eq!(warnings(b"event=x"), [""; 0]);
        let said = warnings(b"event=x AND event=y");
        assert!(said[0].starts_with("filter of metric m: "), "{said:?}");
    }

    #[test]
    fn errors_say_which_argument_and_what_was_expected() {
        let good = ["m", "", "", "", "event=x", "", ""];
        let check = |place: usize, argument: &[u8], said: &str| {
            let mut arguments = good.map(str::as_bytes);
            arguments[place] = argument;
            let error = parse(&arguments).unwrap_err();
            assert_eq!(error, said);
        };
        check(0, b"", "name: expected one, got nothing");
        check(1, b"\xff", "description: expected UTF-8");
        check(
            3,
            b"n:foo",
            "group_by: `foo` is no group_by method (the methods are discrete, exponential, linear)",
        );
        check(3, b"a b a", "group_by: group_by names the field `a` twice");
        let nothing =
            "filter: an empty one would match nothing; `event=*` matches every named event";
        check(4, b" ", nothing);
        check(4, b"event=", "filter: line 1, column 7: expected a value, but the filter ends here");
        check(
            4,
            b"bad filter here",
            "filter: line 1, column 5: expected `=`, `>`, `<`, `>=` or `<=`, found `filter`",
        );
        check(
            6,
            b"name filds",
            "exporter_include: nothing of an event is called `filds`, did you mean `fields`? \
             (name hostname timestamps categories fields)",
        );
        let names = "name, description, fields, group_by, filter, exporter, exporter_include";
        for count in [0, 6, 8] {
            let error = parse(&vec![b"m".as_slice(); count]).unwrap_err();
            assert_eq!(error, format!("got {count} arguments, expected 7: {names}"));
        }
    }
}
