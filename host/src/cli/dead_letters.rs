//! `fantail dead-letters`: list, show, replay, drop.
//!
//! What lies there is read from the files, whether a host runs or not. What is to be done with letters is
//! done by the host that has the directory open; only when none has it, `drop` opens it itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use fantail_sdk::Timestamp;
use serde_json::Value;

use super::{
    console::{end_unwritten, errln, out, outln},
    reader::{Failure, Host, ReaderArgs},
    status::{ask, duration},
    table::{Side, Table},
};
use crate::{
    config::counted,
    dead_letters::{self, DeadLetters, Letter, Wanted, look},
    exit_code::Exit,
    spool::{Directory, ErrorKind, micros_now},
};

/// How much of a payload a list shows, in characters.
const BEGINNING: usize = 48;

/// The size of a directory that nothing is put into: any.
const SIZE_MAX: u64 = 1 << 60;

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(super) enum LettersCommand {
    /// List them, the oldest of each exporter first.
    List(ListArgs),
    /// Show one: what is known of it, an empty line, and the payload as it is.
    Show(ShowArgs),
    /// Have the running host send some again. Each stays until it is delivered, or is dead once
    /// more.
    Replay(SomeArgs),
    /// Drop some, for good.
    Drop(SomeArgs),
}

pub(super) const HELP: &str = "\
The letters are found where the running host has them, or, with -c, in the
configuration's `state_dir`; then no host need run, but for `replay`.

Exit status: 0 if it was done, 65 if the host refused or there is no such letter, 69
if no host runs where one is needed, 71 if the files can't be read, 78 if the configuration has
errors.";

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only this exporter's.
    exporter: Option<String>,
    /// Print a line of JSON for each.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reader: ReaderArgs,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Which, as `list` calls it: EXPORTER/NUMBER.
    id: String,
    #[command(flatten)]
    reader: ReaderArgs,
}

#[derive(Debug, Args)]
pub(super) struct SomeArgs {
    /// Which, as `list` calls them: EXPORTER/NUMBER. With --all, an exporter.
    #[arg(required_unless_present = "all", value_name = "ID")]
    ids: Vec<String>,
    /// All, or all of the exporters that are named.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    reader: ReaderArgs,
}

/// Runs one of the commands.
pub(super) fn letters(command: &LettersCommand) -> Exit {
    let done = match command {
        LettersCommand::List(args) => list(args),
        LettersCommand::Show(args) => show(args),
        LettersCommand::Replay(args) => order(args, "REPLAY"),
        LettersCommand::Drop(args) => order(args, "DROP"),
    };
    done.map_or_else(Failure::show, |()| Exit::Success)
}

/// The directories of dead letters, by exporter.
fn places(reader: &ReaderArgs) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let Some(state_dir) = reader.state_dir()? else {
        let (_, status) = ask(reader)?;
        let exporters = status["exporters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let place = |exporter: &Value| {
            let directory = exporter["dead_letters"]["directory"].as_str()?;
            Some((exporter["name"].as_str()?.to_owned(), directory.into()))
        };
        return Ok(exporters.iter().filter_map(place).collect());
    };
    let parent = dead_letters::parent(&state_dir);
    let failed = |error: std::io::Error| {
        let is_denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        unreadable(format!("{}: {error}", parent.display()), is_denied)
    };
    let mut places = BTreeMap::new();
    for name in look::directories(&parent).map_err(failed)? {
        let directory = parent.join(name);
        let mut exporter = None;
        read(&directory, |letter| {
            exporter = Some(letter.envelope.exporter);
            false
        })?;
        // One without letters is of no exporter that is known.
        places.extend(exporter.map(|exporter| (exporter, directory)));
    }
    Ok(places)
}

/// Why letters can't be read, and who may.
fn unreadable(mut reason: String, is_denied: bool) -> Failure {
    if is_denied {
        reason.push_str(": only the user that the host runs as, and root, may read dead letters");
    }
    Failure::new(Exit::System, reason)
}

/// Shows `visit` the letters in a directory until it says false.
fn read(directory: &Path, visit: impl FnMut(Letter) -> bool) -> Result<(), Failure> {
    let damaged = look::letters(directory, visit)
        .map_err(|error| unreadable(error.to_string(), error.kind() == ErrorKind::Denied))?;
    if damaged > 0 {
        errln!("warning: {}: {damaged} damaged places were passed over", directory.display());
    }
    Ok(())
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let mut places = places(&args.reader)?;
    if let Some(exporter) = &args.exporter {
        places.retain(|name, _| name == exporter);
    }
    let right = |head: &'static str| (head, Side::Right);
    let mut table = Table::new([
        ("ID", Side::Left),
        ("DEAD SINCE", Side::Left),
        right("AGE"),
        ("REASON", Side::Left),
        right("ATTEMPTS"),
        right("SIZE"),
        ("PAYLOAD", Side::Left),
    ]);
    let (now, mut count, mut bytes) = (micros_now(), 0_u64, 0_u64);
    for (exporter, directory) in &places {
        read(directory, |letter| {
            if args.json {
                outln!("{}", json(&letter));
                return true;
            }
            count += 1;
            bytes += letter.payload.len() as u64;
            let envelope = &letter.envelope;
            let age = now.saturating_sub(letter.read_at) as f64 / 1e6;
            table.row([
                format!("{exporter}/{}", letter.id),
                time(envelope.died_at),
                duration(age),
                envelope.reason.clone(),
                envelope.attempts.to_string(),
                letter.payload.len().to_string(),
                beginning(&letter.payload),
            ]);
            true
        })?;
    }
    if !args.json && count > 0 {
        out!("{}\n{}, {bytes} bytes\n", table.text(), counted(count, "dead letter"));
    }
    Ok(())
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let (exporter, id) = parse_id(&args.id)?;
    let places = places(&args.reader)?;
    let mut found = None;
    if let Some(directory) = places.get(&exporter) {
        read(directory, |letter| {
            found = (letter.id == id).then_some(letter);
            found.is_none()
        })?;
    }
    let Some(letter) = found else { return Err(missing(&args.id)) };
    let Letter { read_at, envelope, payload, .. } = letter;
    let mut text = format!(
        "id: {}\nexporter: {}\ndriver: {}\nreason: {}\ndetail: {}\ndead since: {}\nread at: {}\n\
         attempts: {}\nname: {:032x}/{}\n",
        args.id,
        envelope.exporter,
        envelope.driver,
        envelope.reason,
        envelope.detail.escape_debug(),
        time(envelope.died_at),
        time(read_at),
        envelope.attempts,
        envelope.source,
        envelope.number,
    );
    if envelope.label_parts > 0 {
        text.push_str(&format!("label: {}\n", envelope.label.escape_ascii()));
    }
    out!("{text}content-type: {}\nsize: {}\n\n", envelope.content_type, payload.len());
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(&payload).and_then(|()| stdout.write_all(b"\n"));
    if let Err(error) = written.and_then(|()| stdout.flush()) {
        end_unwritten(&error);
    }
    Ok(())
}

/// Has letters replayed or dropped.
fn order(args: &SomeArgs, what: &str) -> Result<(), Failure> {
    let mut wanted: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    if args.all {
        wanted.extend(args.ids.iter().map(|exporter| (exporter.clone(), BTreeSet::new())));
    } else {
        for id in &args.ids {
            let (exporter, id) = parse_id(id)?;
            wanted.entry(exporter).or_default().insert(id);
        }
    }
    let mut known = None;
    if wanted.is_empty() {
        let places = places(&args.reader)?;
        wanted.extend(places.keys().map(|exporter| (exporter.clone(), BTreeSet::new())));
        known = Some(places);
    }
    for (exporter, ids) in wanted {
        let directory = match (&known, args.reader.state_dir()?) {
            (Some(places), _) => places.get(&exporter).cloned(),
            (None, Some(state_dir)) => Some(dead_letters::directory(&state_dir, &exporter)),
            (None, None) => None,
        };
        let by_itself = match directory {
            Some(directory) if what == "DROP" => drop_alone(&directory, &ids)?,
            _ => None,
        };
        let count = match by_itself {
            Some(count) => count,
            None => tell(&args.reader, what, &exporter, &ids)?,
        };
        let done = if what == "DROP" { "dropped" } else { "to be sent again" };
        outln!("{exporter}: {} {done}", counted(count, "dead letter"));
    }
    Ok(())
}

/// Drops letters in a directory that no host has open; `None` when one has.
fn drop_alone(directory: &Path, ids: &BTreeSet<u64>) -> Result<Option<u64>, Failure> {
    if !directory.exists() {
        return Ok(None);
    }
    match Directory::lock(directory) {
        Ok(lock) => drop(lock),
        Err(error) if error.kind() == ErrorKind::InUse => return Ok(None),
        Err(error) => return Err(Failure::new(Exit::System, error.to_string())),
    }
    let letters = DeadLetters::new(directory.to_owned());
    let opened = letters.open(SIZE_MAX);
    opened.map_err(|reason| Failure::new(Exit::System, reason))?;
    let dropped = letters.drop_letters(&wanted(ids));
    dropped.map(Some).map_err(|reason| Failure::new(Exit::Refused, reason))
}

/// Tells the host.
fn tell(
    reader: &ReaderArgs,
    what: &str,
    exporter: &str,
    ids: &BTreeSet<u64>,
) -> Result<u64, Failure> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let mut words: Vec<&[u8]> = vec![b"DEAD-LETTERS", what.as_bytes(), exporter.as_bytes()];
    words.extend(ids.iter().map(|id| id.as_bytes()));
    let mut host = reader.connect()?;
    host.say(&words)?;
    let line = host.line()?;
    let count = line.strip_prefix(b"+\t").and_then(|count| std::str::from_utf8(count).ok());
    match count.and_then(|count| count.parse().ok()) {
        Some(count) => Ok(count),
        None => Err(Host::refusal(&line).unwrap_or_else(|| host.strange(&line))),
    }
}

fn wanted(ids: &BTreeSet<u64>) -> Wanted {
    if ids.is_empty() { Wanted::All } else { Wanted::Ids(ids.clone()) }
}

/// `EXPORTER/NUMBER`
fn parse_id(id: &str) -> Result<(String, u64), Failure> {
    let parts = id.rsplit_once('/');
    let parts = parts.and_then(|(exporter, id)| Some((exporter.to_owned(), id.parse().ok()?)));
    parts.ok_or_else(|| {
        let message = format!(
            "`{}` is no dead letter: expected EXPORTER/NUMBER, as `fantail dead-letters list` \
             shows them",
            id.escape_debug()
        );
        Failure::new(Exit::Usage, message)
    })
}

fn missing(id: &str) -> Failure {
    Failure::new(Exit::Refused, format!("there is no dead letter {}", id.escape_debug()))
}

fn json(letter: &Letter) -> Value {
    let mut json = letter.envelope.json();
    json["id"] = format!("{}/{}", letter.envelope.exporter, letter.id).into();
    json["read_at"] = letter.read_at.into();
    json["size"] = letter.payload.len().into();
    // What is no text is only shown by `show`.
    json["payload"] = std::str::from_utf8(&letter.payload).ok().into();
    json
}

fn time(micros: u64) -> String {
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)).to_string()
}

/// The beginning of a payload, on one line.
fn beginning(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(&payload[..payload.len().min(4 * BEGINNING)]);
    let mut shown: String = text.chars().take(BEGINNING).collect();
    if text.chars().count() > BEGINNING {
        shown.push_str("...");
    }
    shown
}
