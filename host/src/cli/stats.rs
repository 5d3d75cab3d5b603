//! `fantail stats`: statistics of a running host.

use std::{
    fmt::Write as _,
    io::{IsTerminal, stdout},
};

use clap::{Args, Subcommand, ValueEnum};
use fantail_sdk::tab_escape;
use glob::Pattern;

use super::{
    console::out,
    reader::{self, Failure, Host, ReaderArgs},
    table::{Side, Table},
};
use crate::{
    exit_code::Exit,
    statistics::dump::{self, Row, Statistic},
};

/// What to do with statistics.
#[derive(Debug, Subcommand)]
pub(super) enum StatsCommand {
    /// Show what metrics have counted, as `doveadm stats dump` does.
    #[command(after_help = reader::HELP)]
    Dump(DumpArgs),
    /// Have a running host count, and export, what matches one more metric.
    ///
    /// It lives on when the configuration is read again, until it is removed, the
    /// host ends, or the configuration has a metric of this name itself.
    #[command(after_help = reader::HELP)]
    Add(AddArgs),
    /// Have a running host do without a metric.
    ///
    /// One of the configuration comes back when that is read again.
    #[command(after_help = reader::HELP)]
    Remove(RemoveArgs),
}

/// What the metric is to be: what the settings of a `metric` block say.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    reader: ReaderArgs,
    /// The metric's name.
    #[arg(value_name = "NAME")]
    name: String,
    /// What it matches, as event=imap_command_finished.
    #[arg(value_name = "FILTER")]
    filter: String,
    /// Explains the metric.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// The fields to export and to keep statistics of, parted by blanks.
    #[arg(long, value_name = "FIELDS", default_value = "", hide_default_value = true)]
    fields: String,
    /// The levels of sub-metrics, parted by blanks: FIELD, FIELD:discrete:MODIFIER,
    /// FIELD:exponential:MIN_MAGNITUDE:MAX_MAGNITUDE:BASE, FIELD:linear:MIN:MAX:STEP.
    #[arg(long, value_name = "LEVELS", default_value = "", hide_default_value = true)]
    group_by: String,
    /// The event_exporter to export to.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    exporter: String,
    /// What of an event is exported, parted by blanks.
    #[arg(
        long,
        value_name = "PARTS",
        default_value = "name hostname timestamps categories fields"
    )]
    exporter_include: String,
}

/// Which metric.
#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    reader: ReaderArgs,
    /// The metric's name.
    #[arg(value_name = "NAME")]
    name: String,
}

/// Which statistics, of which metrics, and how to show them.
#[derive(Debug, Args)]
pub(super) struct DumpArgs {
    #[command(flatten)]
    reader: ReaderArgs,
    /// The statistics, parted by blanks or commas: count, sum, min, max, avg, median,
    /// stddev, variance, and any percentile, as %95 or %99.9.
    #[arg(short = 'f', long = "fields", value_name = "FIELDS", default_value = dump::DEFAULT)]
    fields: String,
    /// Have everything count from 0 afterwards. What is shown and what is counted then
    /// make the whole.
    #[arg(short = 'r', long = "reset", conflicts_with = "names")]
    reset: bool,
    /// How to show it; without it, `table` on a terminal and `tab` elsewhere.
    #[arg(long = "format", value_name = "FORMAT")]
    format: Option<Format>,
    /// Only the metrics and groups with these names; * and ? stand for anything.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// How to show rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for people.
    Table,
    /// What doveadm prints: TABs between columns, a line of names first.
    Tab,
    /// An array of objects.
    Json,
}

/// Runs `fantail stats`.
pub(super) fn stats(command: &StatsCommand) -> Exit {
    match command {
        StatsCommand::Dump(args) => match dump(args) {
            Ok(text) => {
                out!("{text}");
                Exit::Success
            }
            Err(failure) => failure.show(),
        },
        StatsCommand::Add(args) => order(&args.reader, &args.words()),
        StatsCommand::Remove(args) => order(&args.reader, &["METRICS-REMOVE", &args.name]),
    }
}

impl AddArgs {
    /// The order in the protocol's words.
    fn words(&self) -> [&str; 8] {
        [
            "METRICS-ADD",
            &self.name,
            &self.description,
            &self.fields,
            &self.group_by,
            &self.filter,
            &self.exporter,
            &self.exporter_include,
        ]
    }
}

fn order(reader: &ReaderArgs, words: &[&str]) -> Exit {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let done = reader.connect().and_then(|mut host| host.order(&words));
    done.map_or_else(Failure::show, |()| Exit::Success)
}

fn dump(args: &DumpArgs) -> Result<String, Failure> {
    let table = dump::Table::new(&args.fields);
    if table.columns().is_empty() {
        return Err(Failure::new(Exit::Usage, "no statistics are asked for"));
    }
    for name in table.columns() {
        check(name)?;
    }
    let usage = |name: &str, error| Failure::new(Exit::Usage, format!("`{name}`: {error}"));
    let names = args.names.iter();
    let names = names.map(|name| Pattern::new(name).map_err(|error| usage(name, error)));
    let names: Vec<Pattern> = names.collect::<Result<_, _>>()?;
    let mut reply = ask(&args.reader, &table, args.reset)?;
    if !names.is_empty() {
        reply = only(&names, &reply);
    }
    let rows = table.rows(&reply);
    if rows.is_empty() && !names.is_empty() {
        let message = "the host has no metric or group of this name";
        return Err(Failure::new(Exit::Refused, message));
    }
    let format = match args.format {
        Some(format) => format,
        None if stdout().is_terminal() => Format::Table,
        None => Format::Tab,
    };
    Ok(match format {
        Format::Table => for_people(&table, &rows),
        Format::Tab => table.tabbed(&reply),
        Format::Json => json(&table, &rows),
    })
}

/// Whether there is a statistic of this name.
fn check(name: &str) -> Result<(), Failure> {
    let is_known = match Statistic::parse(name.as_bytes()) {
        Statistic::Unknown => name == "stddev",
        Statistic::Quantile(fraction) => (0.0..=1.0).contains(&fraction),
        _ => true,
    };
    let message = || {
        format!(
            "there is no statistic `{}`: there are count, sum, min, max, avg, median, stddev, \
             variance, and percentiles from %0 to %100",
            name.escape_debug()
        )
    };
    if is_known { Ok(()) } else { Err(Failure::new(Exit::Usage, message())) }
}

/// The host's reply.
fn ask(args: &ReaderArgs, table: &dump::Table, reset: bool) -> Result<Vec<u8>, Failure> {
    let mut host = args.connect()?;
    let command = if reset { "DUMP-RESET" } else { "DUMP" };
    let words: Vec<&[u8]> =
        std::iter::once(command).chain(table.arguments()).map(str::as_bytes).collect();
    host.say(&words)?;
    let mut reply = Vec::new();
    loop {
        let line = host.line()?;
        // A series has at least one TAB, an error none.
        if reply.is_empty()
            && !line.contains(&b'\t')
            && let Some(refusal) = Host::refusal(&line)
        {
            return Err(refusal);
        }
        let is_end = line.is_empty();
        reply.extend_from_slice(&line);
        reply.push(b'\n');
        if is_end {
            return Ok(reply);
        }
    }
}

/// The lines of a reply whose names are wanted.
fn only(names: &[Pattern], reply: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    for line in reply.split_inclusive(|byte| *byte == b'\n') {
        let mut name = Vec::new();
        let written = line.split(|byte| b"\t\n".contains(byte)).next().unwrap_or_default();
        tab_escape::unescape_into(written, &mut name);
        let name = String::from_utf8_lossy(&name);
        if names.iter().any(|wanted| wanted.matches(&name)) {
            found.extend_from_slice(line);
        }
    }
    found
}

fn for_people(columns: &dump::Table, rows: &[Row]) -> String {
    let names = [("metric_name", Side::Left), ("field", Side::Left)];
    let numbers = columns.columns().iter().map(|name| (name.as_str(), Side::Right));
    let mut table = Table::new(names.into_iter().chain(numbers));
    for Row { name, field, values } in rows {
        table.row([name, field].into_iter().chain(values));
    }
    table.text()
}

/// An array of objects, one a line. Numbers stand as they came, with all their digits.
fn json(columns: &dump::Table, rows: &[Row]) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text = String::from("[");
    for (index, Row { name, field, values }) in rows.iter().enumerate() {
        text.push_str(if index == 0 { "\n" } else { ",\n" });
        let mut object = format!("{{\"metric_name\":{},\"field\":{}", quoted(name), quoted(field));
        for (column, value) in columns.columns().iter().zip(values) {
            let is_number = !value.is_empty()
                && value.bytes().all(|byte| byte.is_ascii_digit() || b"-.".contains(&byte))
                && serde_json::from_str::<serde_json::Value>(value).is_ok();
            let value = match (is_number, value.is_empty()) {
                (true, _) => value.clone(),
                (false, true) => "null".to_owned(),
                (false, false) => quoted(value),
            };
            write!(object, ",{}:{value}", quoted(column))
                .expect("invariant: a String takes everything");
        }
        text.push_str(&object);
        text.push('}');
    }
    text.push_str("\n]\n");
    text
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Row, check, dump, for_people, json, only};

    fn row(name: &str, field: &str, values: &[&str]) -> Row {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Row { name: name.to_owned(), field: field.to_owned(), values }
    }

    #[test]
    fn rows_are_shown() {
        let columns = dump::Table::new("count, avg,%95");
        let rows = [
            row("a\"b", "duration", &["18446744073709551616", "-1.50", ""]),
            row("c", "n", &["0", "x", "1"]),
        ];
        assert_eq!(
            json(&columns, &rows),
            "[\n{\"metric_name\":\"a\\\"b\",\"field\":\"duration\",\
             \"count\":18446744073709551616,\"avg\":-1.50,\"%95\":null},\n\
             {\"metric_name\":\"c\",\"field\":\"n\",\"count\":0,\"avg\":\"x\",\"%95\":1}\n]\n"
        );
        assert_eq!(
            for_people(&columns, &rows[1..]),
            "metric_name  field  count  avg  %95\nc            n          0    x    1\n"
        );
        assert_eq!(json(&columns, &[]), "[\n]\n");
    }

    #[test]
    fn names_are_patterns() {
        let reply = b"imap\t1\nimap_a\x01tb\t2\npop3\t3\n\n";
        let only = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| Pattern::new(name).unwrap()).collect();
            String::from_utf8(only(&names, reply)).unwrap()
        };
        assert_eq!(only(&["imap"]), "imap\t1\n");
        assert_eq!(only(&["imap_a\tb", "p?p3"]), "imap_a\x01tb\t2\npop3\t3\n");
        assert_eq!(only(&["imap*"]), "imap\t1\nimap_a\x01tb\t2\n");
        assert_eq!(only(&["smtp"]), "");
    }

    #[test]
    fn statistics_must_exist() {
        for name in ["count", "stddev", "variance", "%0", "%100", "%99.9"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in ["", "cuont", "%", "%101", "%-1", "%x", "%nan", "%inf"] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
