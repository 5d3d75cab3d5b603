//! The results as Markdown.

use std::{fmt::Write as _, fs, path::Path};

use crate::{
    figure::{Spread, short},
    machine,
    silent::Outcome,
    trial::Figures,
    work::{ONE_WORKER, TWO_WORKERS, WORKS, Work},
};

/// All results so far.
#[derive(Default)]
pub(crate) struct Results {
    rows: Vec<Row>,
    silent: Vec<Outcome>,
}

/// What one system showed at one work, a trial for each round.
struct Row {
    work: &'static Work,
    system: String,
    note: Option<&'static str>,
    rounds: Vec<Figures>,
}

/// What stands in the document before and behind the results.
const MARKS: [&str; 2] = ["<!-- results begin -->", "<!-- results end -->"];

impl Figures {
    fn cpu_per_million(&self) -> f64 {
        self.cpu * 1e6 / self.events as f64
    }
}

impl Row {
    fn spread(&self, number: impl Fn(&Figures) -> f64) -> Spread {
        Spread::of(self.rounds.iter().map(number))
    }

    /// How often the other row's number goes into this one's, round by round: what disturbed
    /// the machine for a while disturbed both.
    fn ratio(&self, to: &Row, number: impl Fn(&Figures) -> f64) -> Spread {
        let pairs = self.rounds.iter().zip(&to.rounds);
        Spread::of(pairs.map(|(own, other)| number(own) / number(other).max(f64::MIN_POSITIVE)))
    }

    fn title(&self) -> String {
        match self.note {
            Some(note) => format!("{}, {note}", self.system),
            None => self.system.clone(),
        }
    }
}

impl Results {
    /// Adds a trial.
    pub(crate) fn add(
        &mut self,
        work: &'static Work,
        system: &str,
        note: Option<&'static str>,
        figures: Figures,
    ) {
        let found = self.rows.iter_mut().find(|row| row.work == work && row.system == system);
        if let Some(row) = found {
            return row.rounds.push(figures);
        }
        self.rows.push(Row { work, system: system.to_owned(), note, rounds: vec![figures] });
    }

    /// Adds what became of a system at a server that never answers.
    pub(crate) fn add_silent(&mut self, outcome: Outcome) {
        self.silent.push(outcome);
    }

    /// Everything, as Markdown.
    pub(crate) fn markdown(&self, load: &str, rounds: usize) -> String {
        let mut text = String::new();
        for line in machine::describe() {
            writeln!(text, "* {line}").unwrap();
        }
        writeln!(text, "* {load}").unwrap();
        text.push_str(&match rounds {
            1 => "* one round\n\n".to_owned(),
            _ => format!("* {rounds} rounds: the median, and the least and the most of them\n\n"),
        });
        self.write_works(&mut text);
        self.write_metrics(&mut text);
        self.write_workers(&mut text);
        self.write_memory(&mut text);
        self.write_silent(&mut text);
        text
    }

    fn find(&self, work: &str, system: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.work.id == work && row.system == system)
    }

    /// The rows of a work, Fantail's first.
    fn of<'a>(&'a self, work: &'a Work) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.work == work)
    }

    fn write_works(&self, text: &mut String) {
        if self.rows.is_empty() {
            return;
        }
        text.push_str(
            "| work | system | CPU s / million events | to Fantail | events / s | peak MiB |\n\
             | --- | --- | --: | --: | --: | --: |\n",
        );
        for work in WORKS {
            let mut title = work.title;
            let first = self.of(work).next();
            for row in self.of(work) {
                let ratio = first.map(|first| row.ratio(first, Figures::cpu_per_million));
                writeln!(
                    text,
                    "| {title} | {} | {} | {} | {} | {} |",
                    row.title(),
                    row.spread(Figures::cpu_per_million).text(short),
                    ratio.map_or_else(String::new, |ratio| ratio.text(short)),
                    row.spread(|figures| figures.events as f64 / figures.wall).text(short),
                    row.spread(|figures| figures.peak_kib as f64 / 1024.0).text(short),
                )
                .unwrap();
                title = "";
            }
        }
    }

    /// What many filters cost.
    fn write_metrics(&self, text: &mut String) {
        let mut lines = String::new();
        for (one, many, count) in [
            ("users-1", "users-1000", "1,000 metrics"),
            ("users-1", "users-10000", "10,000 metrics"),
            ("tcp-users-1", "tcp-users-1000", "1,000 routes by TCP"),
        ] {
            for row in self.rows.iter().filter(|row| row.work.id == many) {
                let Some(one) = self.find(one, &row.system) else { continue };
                let ratio = row.ratio(one, Figures::cpu_per_million).text(short);
                writeln!(lines, "| {count} | {} | {ratio} |", row.system).unwrap();
            }
        }
        if !lines.is_empty() {
            text.push_str(
                "\nWhat filters cost that do not match:\n\n\
                 | filters | system | CPU, to one filter |\n| --- | --- | --: |\n",
            );
            text.push_str(&lines);
        }
    }

    /// What two workers carry.
    fn write_workers(&self, text: &mut String) {
        let capacity = |figures: &Figures| figures.capacity.unwrap_or_default();
        let mut lines = String::new();
        for row in self.of(&TWO_WORKERS) {
            let Some(one) = self.find(ONE_WORKER.id, &row.system) else { continue };
            writeln!(
                lines,
                "| {} | {} | {} | {} |",
                row.system,
                one.spread(capacity).text(short),
                row.spread(capacity).text(short),
                row.ratio(one, capacity).text(short),
            )
            .unwrap();
        }
        if !lines.is_empty() {
            text.push_str(
                "\nEvents for each processor second of the worker threads, summed over them:\n\n\
                 | system | one worker | two workers | ratio |\n| --- | --: | --: | --: |\n",
            );
            text.push_str(&lines);
        }
    }

    /// What becomes of who posts to a server that never answers.
    fn write_silent(&self, text: &mut String) {
        if self.silent.is_empty() {
            return;
        }
        text.push_str(
            "\nOne POST for each event, to a server that takes requests and never answers:\n\n\
             | system | events sent | peak MiB | what became of it |\n| --- | --: | --: | --- |\n",
        );
        for Outcome { system, events, peak_kib, fate } in &self.silent {
            let events = short(*events as f64);
            let peak = short(*peak_kib as f64 / 1024.0);
            writeln!(text, "| {system} | {events} | {peak} | {fate} |").unwrap();
        }
    }

    /// What is resident before the first event.
    fn write_memory(&self, text: &mut String) {
        let mut lines = String::new();
        for (id, mut title) in [
            ("count", "stats-writer, one metric"),
            ("users-1000", "stats-writer, 1,000 metrics"),
            ("users-10000", "stats-writer, 10,000 metrics"),
            ("tcp-fifth", "TCP, one route"),
            ("tcp-users-1000", "TCP, 1,000 routes"),
        ] {
            for row in self.rows.iter().filter(|row| row.work.id == id) {
                let rest = row.spread(|figures| figures.rest_kib as f64 / 1024.0);
                writeln!(lines, "| {title} | {} | {} |", row.system, rest.text(short)).unwrap();
                title = "";
            }
        }
        if !lines.is_empty() {
            text.push_str(
                "\nMemory at rest:\n\n\
                 | configuration | system | resident MiB |\n| --- | --- | --: |\n",
            );
            text.push_str(&lines);
        }
    }
}

/// Puts the results into a document, in the place of the last ones.
///
/// # Panics
///
/// When the document cannot be written, or has no place for them.
pub(crate) fn insert(document: &Path, results: &str) {
    let text = fs::read_to_string(document)
        .unwrap_or_else(|error| panic!("{}: {error}", document.display()));
    fs::write(document, replaced(&text, results)).unwrap();
}

fn replaced(text: &str, results: &str) -> String {
    let [begin, end] = MARKS;
    let (head, rest) = text.split_once(begin).expect("the document has the first mark");
    let (_, tail) = rest.split_once(end).expect("the document has the second mark");
    format!("{head}{begin}\n{}\n{end}{tail}", results.trim_end())
}

#[cfg(test)]
mod tests {
    use super::{Figures, Results, WORKS, replaced};

    fn figures(cpu: f64) -> Figures {
        let (events, wall, rest_kib, peak_kib) = (1_000_000, 2.0, 2048, 4096);
        Figures { events, wall, cpu, rest_kib, peak_kib, capacity: None }
    }

    #[test]
    fn a_row_for_each_system_and_a_ratio_for_each_round() {
        let mut results = Results::default();
        for (own, peer) in [(0.5, 5.0), (1.0, 20.0), (0.4, 2.0)] {
            results.add(&WORKS[0], "Fantail", None, figures(own));
            results.add(&WORKS[0], "Peer", Some("slowly"), figures(peer));
        }
        let text = results.markdown("many events", 3);
        for line in [
            "| stats-writer, one metric, no exporter | Fantail | 0.500 (0.400-1.00) | 1.00 | 500,000 | 4.00 |",
            "|  | Peer, slowly | 5.00 (2.00-20.0) | 10.0 (5.00-20.0) | 500,000 | 4.00 |",
            "| stats-writer, one metric | Fantail | 2.00 |",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\nis not in\n{text}");
        }
    }

    #[test]
    fn results_take_the_place_of_the_last_ones() {
        let text = "head\n<!-- results begin -->\nold\n<!-- results end -->\ntail\n";
        let expected = "head\n<!-- results begin -->\nnew\n<!-- results end -->\ntail\n";
        assert_eq!(replaced(text, "new\n\n"), expected);
        assert_eq!(replaced(expected, "new"), expected);
    }
}
