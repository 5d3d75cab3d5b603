//! `fantail status`, `fantail reopen` and `fantail reload`

use clap::Args;
use serde_json::{Map, Value};

use super::{
    console::{out, outln},
    reader::{Failure, Host, ReaderArgs},
    table::{Side, Table},
};
use crate::config::counted;
use crate::exit_code::Exit;

/// How to show which host's ledger.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    reader: ReaderArgs,
    /// Print it as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Shows the ledger of a running host.
pub(super) fn status(args: &StatusArgs) -> Exit {
    match ask(&args.reader) {
        Ok((line, _)) if args.json => outln!("{line}"),
        Ok((_, status)) => out!("{}", shown(&status)),
        Err(failure) => return failure.show(),
    }
    Exit::Success
}

/// Has a running host reopen its files.
pub(super) fn reopen(args: &ReaderArgs) -> Exit {
    let done = args.connect().and_then(|mut host| host.order(&[b"REOPEN"]));
    done.map_or_else(Failure::show, |()| Exit::Success)
}

/// Has a running host read its configuration again.
pub(super) fn reload(args: &ReaderArgs) -> Exit {
    let done = args.connect().and_then(|mut host| host.order(&[b"RELOAD"]));
    done.map_or_else(Failure::show, |()| Exit::Success)
}

/// The ledger, as it came and as it was understood.
pub(super) fn ask(args: &ReaderArgs) -> Result<(String, Value), Failure> {
    let mut host = args.connect()?;
    host.say(&[b"STATUS"])?;
    let line = host.line()?;
    if let Some(refusal) = Host::refusal(&line) {
        return Err(refusal);
    }
    match (serde_json::from_slice::<Value>(&line), String::from_utf8(line)) {
        (Ok(status), Ok(line)) if status.is_object() => Ok((line, status)),
        (_, line) => Err(host.strange(&line.map_or_else(|error| error.into_bytes(), Into::into))),
    }
}

/// The ledger for people.
fn shown(status: &Value) -> String {
    let list = |key: &str| status[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let uptime = status["uptime"].as_f64().unwrap_or_default();
    let mut text = format!(
        "fantail {}, process {}: {}, up for {}\n",
        word(&status["version"]),
        status["pid"],
        word(&status["stage"]),
        duration(uptime)
    );
    let right = |head: &'static str| (head, Side::Right);
    let mut inputs = Table::new([
        ("INPUT", Side::Left),
        right("OPEN"),
        right("RECEIVED"),
        right("= DECODED"),
        right("+ REJECTED"),
        right("EVENTS"),
        ("", Side::Left),
    ]);
    for input in list("inputs") {
        let (rejected, reasons) = reasons(&input["rejected"]);
        let remarks = remarks(reasons, &input["turned_away"]);
        let number = |key: &str| input[key].to_string();
        let cells = [number("open"), number("received"), number("decoded"), rejected.to_string()];
        let name = [word(&input["name"]).to_owned()];
        inputs.row(name.into_iter().chain(cells).chain([number("events"), remarks]));
    }
    let mut metrics = Table::new([("METRIC", Side::Left), right("MATCHED")]);
    for metric in list("metrics") {
        metrics.row([word(&metric["name"]).to_owned(), metric["matched"].to_string()]);
    }
    let mut exporters = Table::new([
        ("EXPORTER", Side::Left),
        right("MATCHED"),
        right("= DELIVERED"),
        right("+ DROPPED"),
        right("+ QUEUED"),
        right("RETRIES"),
        ("", Side::Left),
    ]);
    for exporter in list("exporters") {
        let (dropped, reasons) = reasons(&exporter["dropped"]);
        let number = |key: &str| exporter[key].to_string();
        let cells = [number("matched"), number("delivered"), dropped.to_string()];
        let name = [word(&exporter["name"]).to_owned()];
        let disk = of_disk(exporter, reasons);
        let remarks = joined([disk, letters(exporter), breaker(exporter)]);
        let rest = [number("queued"), number("retries"), remarks];
        exporters.row(name.into_iter().chain(cells).chain(rest));
    }
    for table in [inputs, metrics, exporters] {
        text.push('\n');
        text.push_str(&table.text());
    }
    text
}

/// A time in seconds with its two or three largest units.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match seconds {
        0..60 => format!("{rest} s"),
        60..3_600 => format!("{minutes} min {rest} s"),
        3_600..86_400 => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h {minutes} min"),
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

/// Their sum, and each of them: `(syntax 2, too-long 1)`.
fn reasons(counts: &Value) -> (u64, String) {
    let none = Map::new();
    let counts = counts.as_object().unwrap_or(&none);
    let parts: Vec<_> = counts.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    let sum = counts.values().filter_map(Value::as_u64).sum();
    (sum, if parts.is_empty() { String::new() } else { format!("({})", parts.join(", ")) })
}

/// What there is to say behind an exporter's counts: the reasons, and what its disk has to do
/// with them.
fn of_disk(exporter: &Value, reasons: String) -> String {
    let mut remarks = vec![reasons];
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let (recovered, waiting) =
        (count(&exporter["recovered"]), count(&exporter["spool"]["payloads"]));
    if recovered > 0 {
        remarks.push(format!("{recovered} recovered from disk are counted besides"));
    }
    if waiting > 0 {
        remarks.push(format!("{waiting} of the queued on disk"));
    }
    remarks.retain(|remark| !remark.is_empty());
    remarks.join(" ")
}

/// What there is to say behind an input's counts: the reasons, and how many connections
/// found no room, if any did.
fn remarks(reasons: String, turned_away: &Value) -> String {
    let turned_away = match turned_away.as_u64() {
        None | Some(0) => return reasons,
        Some(1) => "1 connection turned away".to_owned(),
        Some(count) => format!("{count} connections turned away"),
    };
    if reasons.is_empty() { turned_away } else { format!("{reasons} {turned_away}") }
}

/// What there is to say of dead letters: those of this run, which the counts need to balance, and
/// those that are kept.
fn letters(exporter: &Value) -> String {
    let mut said = Vec::new();
    let (dead, reasons) = reasons(&exporter["dead_lettered"]);
    if dead > 0 {
        said.push(format!("{dead} became dead letters {reasons}"));
    }
    if let Some(replayed) = exporter["replayed"].as_u64().filter(|count| *count > 0) {
        said.push(format!("{replayed} replayed"));
    }
    if let Some(kept) = exporter["dead_letters"]["payloads"].as_u64().filter(|count| *count > 0) {
        said.push(format!("{} kept", counted(kept, "dead letter")));
    }
    said.join(", ")
}

/// What there is to say of a peer that takes nothing.
fn breaker(exporter: &Value) -> String {
    let breaker = &exporter["breaker"];
    let failures = match breaker["failures"].as_u64() {
        None | Some(0) => return String::new(),
        Some(failures) => counted(failures, "failure"),
    };
    let mut text = match word(&breaker["state"]) {
        "open" => "breaker open: ",
        "half_open" => "breaker half open: ",
        _ => "",
    }
    .to_owned();
    let since = duration(breaker["failing_for"].as_f64().unwrap_or_default());
    text.push_str(&format!("{failures} in {since}"));
    if let Some(next) = breaker["next_attempt_in"].as_f64() {
        text.push_str(&format!(", next attempt in {}", duration(next.ceil())));
    }
    text
}

/// Those that say something.
fn joined<const N: usize>(remarks: [String; N]) -> String {
    let said: Vec<String> = remarks.into_iter().filter(|remark| !remark.is_empty()).collect();
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::shown;

    #[test]
    fn the_ledger_is_shown() {
        let status = json!({
            "version": "1.2.3", "pid": 7, "stage": "ready", "uptime": 93784.5,
            "inputs": [{"name": "in", "connections": 3, "open": 1, "turned_away": 4, "received": 30, "decoded": 27,
                "rejected": {"syntax": 2, "too-long": 1}, "events": 20}],
            "metrics": [{"name": "imap/all", "matched": 20}],
            "exporters": [{"name": "out", "matched": 20, "delivered": 14, "dropped": {}, "dead_lettered": {"age": 2, "refused": 1}, "replayed": 2,
                "dead_letters": {"payloads": 4, "bytes": 9, "bytes_max": 99},
                "queued": 5, "retries": 1, "queue": {"batches": 1, "bytes": 9, "bytes_max": 99},
                "breaker": {"state": "open", "failures": 12, "failing_for": 75.2, "next_attempt_in": 20.4}},
                {"name": "disk", "matched": 20, "recovered": 3, "delivered": 1, "dropped": {"refused": 2},
                "queued": 20, "retries": 1, "spool": {"payloads": 19, "bytes": 9, "bytes_max": 99}}],
        });
        assert_eq!(
            shown(&status),
            "fantail 1.2.3, process 7: ready, up for 1 d 2 h 3 min\n\
             \n\
             INPUT  OPEN  RECEIVED  = DECODED  + REJECTED  EVENTS\n\
             in        1        30         27           3      20  (syntax 2, too-long 1) 4 connections turned away\n\
             \n\
             METRIC    MATCHED\n\
             imap/all       20\n\
             \n\
             EXPORTER  MATCHED  = DELIVERED  + DROPPED  + QUEUED  RETRIES\n\
             out            20           14          0         5        1  3 became dead letters \
             (age 2, refused 1), 2 replayed, 4 dead letters kept; breaker open: 12 failures in 1 min 15 s, next attempt in 21 s\n\
             disk           20            1          2        20        1  (refused 2) 3 recovered from disk are counted besides 19 of the queued on disk\n"
        );
    }
}
