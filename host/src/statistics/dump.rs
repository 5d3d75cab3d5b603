//! The statistics as the reader's protocol and `doveadm stats dump` tell them.
//!
//! A reply to `DUMP count avg %95` is a line for each metric and each of its
//! groups, a metric before its groups, depth first and in order of first
//! appearance:
//!
//! ```text
//! imap TAB 3 TAB 70.00 TAB 100 TAB net_in_bytes TAB 3 TAB 5.00 TAB 9
//! imap_SELECT TAB ...
//! ```
//!
//! The name, the statistics of `duration`, then each field's name and statistics.
//! `doveadm` makes a table of it, with a row for each value; it asks for `variance`
//! where people want `stddev`, and takes the root itself.

use std::io::Write as _;

use fantail_sdk::{List, tab_escape};

use super::distribution::Distribution;
use super::plan::DURATION;
use super::series::{METRIC, SeriesId, SeriesKind};
use super::totals::{Groups, MetricView, View};

/// What `doveadm stats dump` shows unless told otherwise.
pub const DEFAULT: &str = "count sum min max avg median stddev %95";

/// The label of the overflow series.
pub const OVERFLOW_LABEL: &str = "(overflow)";

/// One statistic of a distribution, as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// How many values.
    Count,
    /// Their sum.
    Sum,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The mean, with two decimals.
    Avg,
    /// The value in the middle.
    Median,
    /// The variance, with two decimals.
    Variance,
    /// The quantile of a fraction: of 0.95 for `%95`.
    Quantile(f64),
    /// A name that is not known: nothing is written.
    Unknown,
}

impl Statistic {
    /// The statistic with this name.
    pub fn parse(name: &[u8]) -> Self {
        match name {
            b"count" => Statistic::Count,
            b"sum" => Statistic::Sum,
            b"min" => Statistic::Min,
            b"max" => Statistic::Max,
            b"avg" => Statistic::Avg,
            b"median" => Statistic::Median,
            b"variance" => Statistic::Variance,
            [b'%', percent @ ..] => match str::from_utf8(percent).map(str::parse::<f64>) {
                Ok(Ok(percent)) => Statistic::Quantile(percent / 100.0),
                _ => Statistic::Unknown,
            },
            _ => Statistic::Unknown,
        }
    }

    /// Appends what it is of a distribution.
    fn write(self, of: &Distribution, out: &mut Vec<u8>) {
        // Writing to memory does not fail.
        let _ = match self {
            Statistic::Count => write!(out, "{}", of.count()),
            Statistic::Sum => write!(out, "{}", of.sum()),
            Statistic::Min => write!(out, "{}", of.min()),
            Statistic::Max => write!(out, "{}", of.max()),
            Statistic::Avg => write!(out, "{:.2}", of.avg()),
            Statistic::Median => write!(out, "{}", of.median()),
            Statistic::Variance => write!(out, "{:.2}", of.variance()),
            Statistic::Quantile(fraction) => write!(out, "{}", of.quantile(fraction)),
            Statistic::Unknown => Ok(()),
        };
    }
}

/// Appends the reply to `DUMP` with these statistics, the empty line at its end
/// included.
pub fn reply(view: View<'_>, statistics: &[Statistic], out: &mut Vec<u8>) {
    for metric in view.metrics() {
        let lines = Lines { metric, groups: metric.groups(), statistics };
        let name = metric.plan().name.as_bytes();
        tab_escape::escape_into(name, out);
        lines.values(METRIC, out);
        let mut name = name.to_vec();
        without_blanks(&mut name);
        lines.groups(METRIC, &mut name, out);
    }
    out.push(b'\n');
}

/// The lines of one metric.
struct Lines<'a> {
    metric: MetricView<'a>,
    groups: Groups,
    statistics: &'a [Statistic],
}

impl Lines<'_> {
    /// The lines of the groups of `parent`, whose name is given, and back again.
    fn groups(&self, parent: SeriesId, name: &mut Vec<u8>, out: &mut Vec<u8>) {
        for &group in self.groups.of(parent) {
            let series = &self.metric.series()[group as usize];
            let label = match &series.kind {
                SeriesKind::Value(label) | SeriesKind::Bucket(_, label) => label,
                SeriesKind::Overflow if self.metric.distribution(group, 0).count() > 0 => {
                    OVERFLOW_LABEL
                }
                SeriesKind::Metric | SeriesKind::Ungrouped | SeriesKind::Overflow => continue,
            };
            let len = name.len();
            name.push(b'_');
            name.extend_from_slice(label.as_bytes());
            without_blanks(&mut name[len..]);
            tab_escape::escape_into(name, out);
            self.values(group, out);
            self.groups(group, name, out);
            name.truncate(len);
        }
    }

    /// The rest of a line, behind the name.
    fn values(&self, series: SeriesId, out: &mut Vec<u8>) {
        self.statistics_of(series, 0, out);
        for (number, field) in self.metric.plan().fields.iter().enumerate() {
            out.push(b'\t');
            tab_escape::escape_into(field.as_bytes(), out);
            self.statistics_of(series, number + 1, out);
        }
        out.push(b'\n');
    }

    fn statistics_of(&self, series: SeriesId, value: usize, out: &mut Vec<u8>) {
        for statistic in self.statistics {
            out.push(b'\t');
            statistic.write(self.metric.distribution(series, value), out);
        }
    }
}

/// Blanks and ends of lines become `_`.
fn without_blanks(name: &mut [u8]) {
    for byte in name.iter_mut().filter(|byte| b" \t\r\n".contains(byte)) {
        *byte = b'_';
    }
}

/// A table that is asked for, as `doveadm stats dump` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    columns: Vec<String>,
}

/// One row of a [`Table`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The metric's or group's name.
    pub name: String,
    /// The field.
    pub field: String,
    /// The statistics, in the order of the columns.
    pub values: Vec<String>,
}

impl Table {
    /// A table with these columns, given by names parted by blanks or commas.
    pub fn new(columns: &str) -> Self {
        let words = columns.split([' ', ',']).filter(|word| !word.is_empty());
        Table { columns: words.map(str::to_owned).collect() }
    }

    /// The statistics' names.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What `DUMP` is asked for.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|name| if name == "stddev" { "variance" } else { name })
    }

    /// The rows that a reply makes.
    pub fn rows(&self, reply: &[u8]) -> Vec<Row> {
        let lines = reply.split(|&byte| byte == b'\n').take_while(|line| !line.is_empty());
        lines.flat_map(|line| self.rows_of(line)).collect()
    }

    fn rows_of(&self, line: &[u8]) -> Vec<Row> {
        let plain = |part: &[u8]| {
            let mut plain = Vec::new();
            tab_escape::unescape_into(part, &mut plain);
            String::from_utf8_lossy(&plain).into_owned()
        };
        let mut parts = line.split(|&byte| byte == b'\t').map(plain);
        let Some(name) = parts.next() else { return Vec::new() };
        let mut rows = Vec::new();
        let mut field = Some(DURATION.to_owned());
        while let Some(current) = field {
            let values = parts.by_ref().take(self.columns.len());
            let values = values.zip(&self.columns).map(|(value, column)| shown(value, column));
            rows.push(Row { name: name.clone(), field: current, values: values.collect() });
            field = parts.next();
        }
        rows
    }

    /// The table as lines with TABs, as doveadm writes it into a pipe.
    pub fn tabbed(&self, reply: &[u8]) -> String {
        let heads = ["metric_name", "field"].into_iter().chain(self.columns.iter().map(|n| &**n));
        let mut text = heads.collect::<Vec<_>>().join("\t") + "\n";
        for row in self.rows(reply) {
            let cells = [&row.name, &row.field].into_iter().chain(&row.values);
            let cells: Vec<_> = cells.collect();
            text.push_str(&String::from_utf8_lossy(&List::escape(&cells)));
            text.push('\n');
        }
        text
    }
}

/// A value that came, as it is shown.
fn shown(value: String, column: &str) -> String {
    match value.parse::<f64>() {
        Ok(variance) if column == "stddev" => format!("{:.2}", variance.sqrt()),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::{Statistic, Table};

    #[test]
    fn statistics_have_names() {
        for (name, expected) in [
            ("%95", Statistic::Quantile(0.95)),
            ("%99.9", Statistic::Quantile(0.999)),
            ("%", Statistic::Unknown),
            ("%x", Statistic::Unknown),
            ("stddev", Statistic::Unknown),
            ("", Statistic::Unknown),
        ] {
            match (Statistic::parse(name.as_bytes()), expected) {
                (Statistic::Quantile(got), Statistic::Quantile(wanted)) => {
                    assert!((got - wanted).abs() < 1e-12, "{name}");
                }
                (got, wanted) => assert_eq!(got, wanted, "{name}"),
            }
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_value() {
        let table = Table::new("count, stddev");
        assert_eq!(table.arguments().collect::<Vec<_>>(), ["count", "variance"]);
        let reply = b"a\x01tb\t2\t6.25\tn\t1\t0.00\nc\t0\t0.00\tn\t0\t\n\nafter\t1\n";
        assert_eq!(
            table.tabbed(reply),
            "metric_name\tfield\tcount\tstddev\na\x01tb\tduration\t2\t2.50\na\x01tb\tn\t1\t0.00\n\
             c\tduration\t0\t0.00\nc\tn\t0\t\n"
        );
    }
}
