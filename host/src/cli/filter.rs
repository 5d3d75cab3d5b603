//! `fantail filter`

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, IsTerminal, Write},
    path::PathBuf,
};

use clap::Args;
use fantail_sdk::{FormatContext, Timestamp, abi::FormatInstance};
use serde_json::json;

use super::{
    PluginArgs,
    console::{errln, of_output},
    explain::Explainer,
    plugins::scan,
};
use crate::{
    decode::{Decoded, Decoder, Protocol},
    event::{
        Event, OpenLimits, Parts,
        flatten::{Export, Flattener},
    },
    exit_code::Exit,
    filter::{Filter, FilterSet, Matcher},
};

/// The longest line that is read, in bytes; longer ones are reported.
const LINE_LIMIT: usize = 1 << 20;

pub(super) const HELP: &str = "\
Exit status: 0 if an event matched, 1 if none did, 2 after an error. A line that can't
be read is reported, and does not match.";

/// What to look for and where.
#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// A filter expression, for example 'event=imap_command_finished AND cmd_name=SELECT'.
    /// Write -- before one that begins with a hyphen.
    expression: String,
    /// JSON lines, tab-text lines or a recorded stats-writer stream; standard input
    /// if left out or -.
    file: Option<PathBuf>,
    /// Print the number of each matching line instead of the event.
    #[arg(short = 'n', long = "line-number", conflicts_with_all = ["count", "canonical", "explain"])]
    line_number: bool,
    /// Print only how many events match.
    #[arg(short = 'c', long = "count", conflicts_with_all = ["canonical", "explain"])]
    count: bool,
    /// Print the filter in its canonical text, and read nothing.
    #[arg(long, conflicts_with = "explain")]
    canonical: bool,
    /// Print how the expression was understood, then for each event which of its
    /// tests decided. Without a file and at a terminal, reads nothing.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    places: PluginArgs,
}

/// Prints what matches; 0 if anything did, 1 if nothing, 2 after an error.
///
/// A line that can't be read is reported on standard error and counts as one
/// that does not match.
pub(super) fn filter(args: &FilterArgs) -> Exit {
    let filter = match Filter::parse(&args.expression) {
        Ok(filter) => filter,
        Err(error) => {
            show_error(&args.expression, &error);
            return Exit::FilterError;
        }
    };
    let found = if args.canonical {
        print_canonical(&filter).map(|()| 1)
    } else if args.explain && args.file.is_none() && io::stdin().is_terminal() {
        Explainer::new(filter, &args.expression).filter(&mut io::stdout().lock()).map(|()| 1)
    } else {
        open_and_search(args, filter)
    };
    match found {
        Ok(0) => Exit::NoMatch,
        Ok(_) => Exit::Success,
        // Whoever reads our output has seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
        Err(error) => {
            errln!("fantail filter: {error}");
            Exit::FilterError
        }
    }
}

/// Shows a filter's error under the expression.
fn show_error(expression: &str, error: &crate::filter::Error) {
    errln!("error: {error}");
    if !expression.contains(['\n', '\t']) {
        let span = error.span();
        let before = expression.get(..span.start).map_or(0, |text| text.chars().count());
        let marked = expression.get(span.clone()).map_or(1, |text| text.chars().count().max(1));
        errln!("  | {expression}\n  | {}{}", " ".repeat(before), "^".repeat(marked));
    }
}

fn print_canonical(filter: &Filter) -> io::Result<()> {
    // Standard output has a buffer, and forgets it when it can't be written at the end.
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", filter.canonical())
        .and_then(|()| stdout.flush())
        .map_err(|error| of_output(&error))
}

/// Searches where the arguments say.
fn open_and_search(args: &FilterArgs, filter: Filter) -> io::Result<u64> {
    let Some(path) = args.file.as_ref().filter(|path| path.as_os_str() != "-") else {
        return search(args, filter, io::stdin().lock(), "standard input");
    };
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| of_input(&name, &error))?;
    search(args, filter, BufReader::with_capacity(1 << 16, file), &name)
}

/// The error with the input's name.
fn of_input(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{name}: {error}"))
}

/// Reads every line and prints what matches; returns the number of matches.
fn search(
    args: &FilterArgs,
    filter: Filter,
    mut input: impl BufRead,
    name: &str,
) -> io::Result<u64> {
    let mut printer = Printer::new(args, &filter)?;
    let set = FilterSet::new([filter]);
    let symbols = set.symbols();
    let mut matcher = Matcher::new(&set, &symbols);
    let (mut decoder, mut matched, mut found) = (None, Vec::new(), 0);
    let (mut line, mut number) = (Vec::new(), 0_u64);
    while read_line(&mut input, &mut line).map_err(|error| of_input(name, &error))? {
        number += 1;
        if line.len() > LINE_LIMIT {
            errln!("fantail filter: line {number}: longer than {LINE_LIMIT} bytes");
            continue;
        }
        let decoder = match &mut decoder {
            Some(decoder) => decoder,
            None => match Protocol::detect(&line) {
                Some(protocol) => {
                    decoder.insert(Decoder::new(protocol, OpenLimits::default(), &symbols))
                }
                None => {
                    if !line.trim_ascii().is_empty() {
                        errln!(
                            "fantail filter: line {number}: this is no line of json, tab-text or \
                             a recorded stats-writer stream"
                        );
                    }
                    continue;
                }
            },
        };
        match decoder.decode(&line) {
            Ok(Decoded::Event(event)) => {
                set.matches_into(&event, &mut matcher, &mut matched);
                let matches = !matched.is_empty();
                found += u64::from(matches);
                if matches || args.explain {
                    printer.event(&event, number)?;
                }
            }
            Ok(Decoded::Handshake | Decoded::Context) => {}
            Err(error) => errln!("fantail filter: line {number}: {error}"),
        }
    }
    printer.end(found)?;
    Ok(found)
}

/// Reads a line without its LF, of at most a little more than the limit; what is
/// behind that is passed over. False at the end.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let available = input.fill_buf()?;
        if available.is_empty() {
            return Ok(any);
        }
        any = true;
        let (used, ended) = match memchr::memchr(b'\n', available) {
            Some(end) => (end, true),
            None => (available.len(), false),
        };
        let room = (LINE_LIMIT + 1).saturating_sub(line.len());
        line.extend_from_slice(&available[..used.min(room)]);
        input.consume(used + usize::from(ended));
        if ended {
            return Ok(true);
        }
    }
}

/// Prints matches in the way that was asked for.
struct Printer {
    out: BufWriter<io::StdoutLock<'static>>,
    how: How,
    flattener: Flattener,
    hostname: Vec<u8>,
    payload: Vec<u8>,
}

enum How {
    Events(FormatInstance),
    Numbers,
    Count,
    Verdicts(Explainer),
}

impl Printer {
    fn new(args: &FilterArgs, filter: &Filter) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let how = if args.line_number {
            How::Numbers
        } else if args.count {
            How::Count
        } else if args.explain {
            let explainer = Explainer::new(filter.clone(), &args.expression);
            explainer.filter(&mut out)?;
            How::Verdicts(explainer)
        } else {
            How::Events(json_format(&args.places)?)
        };
        let hostname = rustix::system::uname().nodename().to_bytes().to_vec();
        Ok(Printer { out, how, flattener: Flattener::default(), hostname, payload: Vec::new() })
    }

    fn event(&mut self, event: &Event<'_>, number: u64) -> io::Result<()> {
        let Printer { out, how, flattener, hostname, payload } = self;
        match how {
            How::Count => Ok(()),
            How::Verdicts(explainer) => explainer.event(out, event, number),
            How::Numbers => writeln!(out, "{number}").map_err(|error| of_output(&error)),
            How::Events(format) => {
                payload.clear();
                let export = Export { include: Parts::ALL, fields: Vec::new() };
                let now = Timestamp::now();
                flattener
                    .with_raw(event, &export, hostname, now, |raw| format.format(raw, payload))
                    .map_err(|failure| io::Error::other(format!("format json: {failure:?}")))?;
                payload.push(b'\n');
                out.write_all(payload).map_err(|error| of_output(&error))
            }
        }
    }

    fn end(mut self, found: u64) -> io::Result<()> {
        let counted = match self.how {
            How::Count => writeln!(self.out, "{found}"),
            How::Events(_) | How::Numbers | How::Verdicts(_) => Ok(()),
        };
        counted.and_then(|()| self.out.flush()).map_err(|error| of_output(&error))
    }
}

/// The format plugin that writes JSON lines.
fn json_format(places: &PluginArgs) -> io::Result<FormatInstance> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no format plugin `json`");
    let table = scan(places).format_table("json").ok_or_else(missing)?;
    let context = FormatContext::new("filter", None);
    FormatInstance::open(table, &json!({}), &context).map_err(io::Error::other)
}
