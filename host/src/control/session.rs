//! The server's side of one connection.

use fantail_sdk::tab_escape;
use memchr::memchr;

use super::{LetterAction, LetterOrder, letters, status};
use crate::{
    config::added,
    pipeline::{Handle, Pending, Signal},
    queue::Wake,
    serve::{Dialog, Next, Turn},
    statistics::{
        View,
        dump::{self, Statistic},
    },
};

/// The longest line that is read, in bytes. (Dovecot's own server reads 1 KiB.)
const LINE_MAX: usize = 64 * 1024;

/// What we are called.
const VERSION: &[u8] = b"VERSION\tstats-reader-server\t2\t0\n";

/// What this version can be asked.
const COMMANDS: &str =
    "DEAD-LETTERS, DUMP, DUMP-RESET, METRICS-ADD, METRICS-REMOVE, RELOAD, REOPEN, STATUS";

/// What errors of `METRICS-ADD` begin with, as with Dovecot.
const ADD_PREFIX: &str = "METRICS-ADD: ";

/// How many statistics one `DUMP` may ask for. (There are eight, and any quantile.)
const STATISTICS_MAX: usize = 64;

/// One connection.
pub struct Session<D = Handle> {
    desk: D,
    wake: Wake,
    /// The client has told its version.
    greeted: bool,
    /// What the client waits for.
    pending: Option<Pending>,
    /// What the reason begins with, if that can't be done.
    prefix: &'static str,
}

/// What the sessions ask of a host.
pub trait Desk: Send {
    /// Appends a reply with these statistics, and has everything count from 0
    /// afterwards if `reset` says so.
    fn dump(&self, statistics: &[Statistic], reset: bool, out: &mut Vec<u8>);

    /// The ledger as one line of JSON.
    fn status(&self) -> String;

    /// Has dead letters replayed or dropped: how many.
    ///
    /// # Errors
    ///
    /// Why that can't be done.
    fn letters(&self, order: &LetterOrder) -> Result<u64, String>;

    /// Tells the host something; `wake` is called when the outcome is there.
    fn ask(&self, signal: Signal, wake: &Wake) -> Pending;
}

impl Desk for Handle {
    fn dump(&self, statistics: &[Statistic], reset: bool, out: &mut Vec<u8>) {
        let reply = |view: View<'_>| dump::reply(view, statistics, out);
        match reset {
            true => self.statistics().read_and_reset(reply),
            false => self.statistics().read(reply),
        }
    }

    fn status(&self) -> String {
        status::json(self).to_string()
    }

    fn letters(
        &self,
        LetterOrder { what, exporter, letters }: &LetterOrder,
    ) -> Result<u64, String> {
        let kept = self.dead_letters(exporter)?;
        match what {
            LetterAction::Replay => kept.ask_replay(letters),
            LetterAction::Drop => {
                let count = kept.drop_letters(letters)?;
                log::info!("exporter {exporter}: {count} dead letters dropped, as told");
                Ok(count)
            }
        }
    }

    fn ask(&self, signal: Signal, wake: &Wake) -> Pending {
        Handle::ask(self, signal, wake)
    }
}

impl<D: Desk> Session<D> {
    /// A session of a host. `wake` gives it another turn.
    pub fn new(desk: D, wake: &Wake) -> Self {
        Session { desk, wake: wake.clone(), greeted: false, pending: None, prefix: "" }
    }

    fn line(&mut self, line: &[u8], answers: &mut Vec<u8>) -> Next {
        let arguments = line.split(|byte| *byte == b'\t').map(|argument| {
            let mut plain = Vec::new();
            tab_escape::unescape_into(argument, &mut plain);
            plain
        });
        let arguments: Vec<Vec<u8>> = arguments.collect();
        let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
        if !self.greeted {
            self.greeted = is_client(&arguments);
            if !self.greeted {
                refuse(answers, "expected the line VERSION, stats-reader-client, 2, 0");
                return Next::Close;
            }
            return Next::Answered;
        }
        match arguments.as_slice() {
            [] | [b""] => {}
            [b"DUMP" | b"DUMP-RESET", names @ ..] if names.len() > STATISTICS_MAX => {
                refuse(answers, &format!("more than {STATISTICS_MAX} statistics"));
            }
            [command @ (b"DUMP" | b"DUMP-RESET"), names @ ..] => {
                let statistics: Vec<_> = names.iter().map(|name| Statistic::parse(name)).collect();
                self.desk.dump(&statistics, *command == b"DUMP-RESET", answers);
            }
            [b"STATUS"] => {
                answers.extend_from_slice(self.desk.status().as_bytes());
                answers.push(b'\n');
            }
            [b"DEAD-LETTERS", arguments @ ..] => {
                match letters::parse(arguments).and_then(|order| self.desk.letters(&order)) {
                    Ok(count) => answers.extend_from_slice(format!("+\t{count}\n").as_bytes()),
                    Err(reason) => refuse(answers, &reason),
                }
            }
            [b"REOPEN"] => return self.ask(Signal::Reopen, "", answers),
            [b"RELOAD"] => return self.ask(Signal::Reload, "", answers),
            [b"METRICS-ADD", arguments @ ..] => match added::parse(arguments) {
                Ok(added) => {
                    added.warnings.iter().for_each(|warning| log::warn!("{warning}"));
                    let signal = Signal::AddMetric(Box::new(added.metric));
                    return self.ask(signal, ADD_PREFIX, answers);
                }
                Err(reason) => refuse(answers, &format!("{ADD_PREFIX}{reason}")),
            },
            [b"METRICS-REMOVE", name] => {
                let name = String::from_utf8_lossy(name).into_owned();
                return self.ask(Signal::RemoveMetric(name), "", answers);
            }
            [b"METRICS-REMOVE", ..] => refuse(answers, "METRICS-REMOVE takes one argument: a name"),
            [command @ (b"STATUS" | b"REOPEN" | b"RELOAD"), ..] => {
                refuse(answers, &format!("{} takes no arguments", shown(command)));
            }
            [command, ..] => {
                let command = shown(command);
                refuse(answers, &format!("unknown command {command}: there are {COMMANDS}"));
            }
        }
        Next::Answered
    }

    /// Tells the host something. If it can't be done, the reason begins with `prefix`.
    fn ask(&mut self, signal: Signal, prefix: &'static str, answers: &mut Vec<u8>) -> Next {
        self.pending = Some(self.desk.ask(signal, &self.wake));
        self.prefix = prefix;
        self.wait(answers)
    }

    /// Looks whether the host has answered.
    fn wait(&mut self, answers: &mut Vec<u8>) -> Next {
        match self.pending.as_ref().and_then(Pending::get) {
            Some(Ok(())) => answers.extend_from_slice(b"+\n"),
            Some(Err(reasons)) => refuse(answers, &(self.prefix.to_owned() + &reasons.join("\n"))),
            None => return Next::Wait,
        }
        self.pending = None;
        Next::Answered
    }
}

impl<D: Desk> Dialog for Session<D> {
    fn greet(&mut self, answers: &mut Vec<u8>) {
        answers.extend_from_slice(VERSION);
    }

    fn turn(&mut self, received: &[u8], answers: &mut Vec<u8>) -> Turn {
        if self.pending.is_some() {
            return Turn { consumed: 0, next: self.wait(answers) };
        }
        match memchr(b'\n', received) {
            Some(end) if end <= LINE_MAX => {
                Turn { consumed: end + 1, next: self.line(&received[..end], answers) }
            }
            None if received.len() <= LINE_MAX => Turn { consumed: 0, next: Next::More },
            _ => {
                refuse(answers, &format!("a line is longer than {LINE_MAX} bytes"));
                Turn { consumed: received.len(), next: Next::Close }
            }
        }
    }

    fn is_between_requests(&self) -> bool {
        true
    }

    fn too_late(&mut self, answers: &mut Vec<u8>) {
        refuse(answers, "the line did not come to its end in time");
    }
}

/// Whether a client of this protocol says so: any minor version will do.
fn is_client(arguments: &[&[u8]]) -> bool {
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    match arguments {
        [b"VERSION", b"stats-reader-client", b"2", minor] => is_number(minor),
        _ => false,
    }
}

/// Appends `-`, the reason with its escapes, and the end of the line.
fn refuse(answers: &mut Vec<u8>, reason: &str) {
    answers.push(b'-');
    tab_escape::escape_into(reason.as_bytes(), answers);
    answers.push(b'\n');
}

/// A word of the client's for a message: its beginning, nothing in it that could do
/// harm.
fn shown(word: &[u8]) -> String {
    const SHOWN: usize = 40;
    let text = String::from_utf8_lossy(word);
    let beginning: String = text.chars().take(SHOWN).flat_map(char::escape_default).collect();
    let more = if text.chars().count() > SHOWN { "..." } else { "" };
    format!("`{beginning}{more}`")
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, fs};

    use serde_json::Value as Json;

    use super::{
        COMMANDS, Desk, Dialog, LINE_MAX, LetterOrder, Next, STATISTICS_MAX, Session, Statistic,
        Turn, tab_escape,
    };
    use crate::{
        dead_letters::Wanted,
        pipeline::{Orders, Outcome, Pending, Signal},
        queue::Wake,
    };

    struct Fake(Orders);

    impl Desk for Fake {
        fn dump(&self, statistics: &[Statistic], reset: bool, out: &mut Vec<u8>) {
            out.extend_from_slice(format!("m {statistics:?} {reset}\n\n").as_bytes());
        }

        fn status(&self) -> String {
            r#"{"a":1}"#.into()
        }

        fn letters(&self, order: &LetterOrder) -> Result<u64, String> {
            match order.letters {
                Wanted::All => Err(format!("{} has\nnone", order.exporter)),
                Wanted::Ids(ref ids) => Ok(ids.len() as u64),
            }
        }

        fn ask(&self, signal: Signal, wake: &Wake) -> Pending {
            self.0.ask(signal, wake)
        }
    }

    fn session() -> Session<Fake> {
        Session::new(Fake(Orders::default()), &Wake::new().unwrap())
    }

    const HELLO: &str = "VERSION\tstats-reader-client\t2\t0\n";

    /// What is answered to `text`, in pieces of every size, and what comes next.
    #[track_caller]
    fn check(text: &str, answer: &str, last: Next) {
        for piece in [1, 2, 5, text.len()] {
            let mut session = session();
            let (mut held, mut said) = (Vec::new(), Vec::new());
            let mut next = Next::More;
            for piece in text.as_bytes().chunks(piece) {
                held.extend_from_slice(piece);
                loop {
                    let turn = session.turn(&held, &mut said);
                    held.drain(..turn.consumed);
                    next = turn.next;
                    if next != Next::Answered {
                        break;
                    }
                }
                if next != Next::More {
                    break;
                }
            }
            assert_eq!((String::from_utf8_lossy(&said).as_ref(), next), (answer, last), "{text:?}");
        }
    }

    #[test]
    fn the_version_comes_first() {
        let refused = "-expected the line VERSION, stats-reader-client, 2, 0\n";
        check(HELLO, "", Next::More);
        check("VERSION\tstats-reader-client\t2\t99\n", "", Next::More);
        for line in [
            "STATUS\n",
            "\n",
            "VERSION\tstats-client\t4\t0\n",
            "VERSION\tstats-reader-client\t3\t0\n",
            "VERSION\tstats-reader-client\t2\tx\n",
            "VERSION\tstats-reader-client\t2\n",
            "GET / HTTP/1.1\n",
        ] {
            check(&format!("{line}STATUS\n"), refused, Next::Close);
        }
        let mut said = Vec::new();
        session().greet(&mut said);
        assert_eq!(said, b"VERSION\tstats-reader-server\t2\t0\n");
    }

    #[test]
    fn commands_are_answered() {
        let check = |text: &str, answer: &str| check(&format!("{HELLO}{text}"), answer, Next::More);
        check("STATUS\n\nSTATUS\n", "{\"a\":1}\n{\"a\":1}\n");
        check("DUMP\n", "m [] false\n\n");
        check("DUMP\tcount\t%50\tx\n", "m [Count, Quantile(0.5), Unknown] false\n\n");
        check("DUMP-RESET\tsum\n", "m [Sum] true\n\n");
        let many = format!("DUMP{}\n", "\tsum".repeat(STATISTICS_MAX + 1));
        check(&many, "-more than 64 statistics\n");
        check("DEAD-LETTERS\tREPLAY\tout\t1\t2\n", "+\t2\n");
        check("DEAD-LETTERS\tDROP\tout\n", "-out has\x01nnone\n");
        check("DEAD-LETTERS\tDROP\tout\tx\n", "-`x` is no number of a dead letter\n");
        check("STATUS\tx\n", "-`STATUS` takes no arguments\n");
        let unknown =
            |command: &str| format!("-unknown command `{command}`: there are {COMMANDS}\n");
        check("FOO\x01n\x1b\tx\n", &unknown("FOO\\n\\u{1b}"));
        check("\tx\n", &unknown(""));
        check("METRICS-REMOVE\n", "-METRICS-REMOVE takes one argument: a name\n");
        check("METRICS-REMOVE\ta\tb\n", "-METRICS-REMOVE takes one argument: a name\n");
        let few = "-METRICS-ADD: got 1 arguments, expected 7: name, description, fields, \
                   group_by, filter, exporter, exporter_include\n";
        check("METRICS-ADD\tx\n", few);
        check(
            "METRICS-ADD\tx\t\t\t\tevent=\t\t\nSTATUS\n",
            "-METRICS-ADD: filter: line 1, column 7: expected a value, but the filter ends here\n{\"a\":1}\n",
        );
    }

    #[test]
    fn lines_have_a_limit() {
        let session = || {
            let mut session = session();
            session.turn(HELLO.as_bytes(), &mut Vec::new());
            session
        };
        let mut said = Vec::new();
        let line = vec![b'x'; LINE_MAX];
        assert_eq!(session().turn(&line, &mut said), Turn { consumed: 0, next: Next::More });
        let line = [line.as_slice(), b"x"].concat();
        let turn = session().turn(&line, &mut said);
        assert_eq!(turn, Turn { consumed: line.len(), next: Next::Close });
        let line = [line.as_slice(), b"\n"].concat();
        assert_eq!(session().turn(&line, &mut said).next, Next::Close);
        let said = String::from_utf8(said).unwrap();
        assert_eq!(said, "-a line is longer than 65536 bytes\n".repeat(2));
    }

    #[test]
    fn a_reopen_is_answered_when_it_is_done() {
        let orders = Orders::default();
        let mut session = Session::new(Fake(orders.clone()), &Wake::new().unwrap());
        let mut said = Vec::new();
        let lines = b"REOPEN\nSTATUS\n";
        session.turn(HELLO.as_bytes(), &mut said);
        assert_eq!(session.turn(lines, &mut said), Turn { consumed: 7, next: Next::Wait });
        assert_eq!(session.turn(&lines[7..], &mut said), Turn { consumed: 0, next: Next::Wait });
        assert_eq!(said, b"");
        orders.obey(|signal| {
            assert_eq!(signal, Signal::Reopen);
            Err(vec!["one".into(), "two".into()])
        });
        let turn = session.turn(&lines[7..], &mut said);
        assert_eq!(turn, Turn { consumed: 0, next: Next::Answered });
        assert_eq!(said, b"-one\x01ntwo\n");
    }

    /// Dovecot's own answers, from recorded sessions: done or refused is the same; the
    /// words are the same where its tools' users know them.
    #[test]
    fn metrics_come_and_go_as_in_dovecot() {
        const FILE: &str = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../integration-tests/data/cases/stats_cases.json"
        );
        let file: Json = serde_json::from_str(&fs::read_to_string(FILE).unwrap()).unwrap();
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
        let mut checked = 0;
        for case in list(&file["cases"]) {
            let metrics = list(&case["config"]["metrics"]);
            let metrics = RefCell::new(metrics.iter().map(|one| text(&one["name"])).collect());
            for said in list(&case["dynamic"]) {
                let mut line = text(&said["command"]).into_bytes();
                for argument in list(&said["args"]) {
                    line.push(b'\t');
                    tab_escape::escape_into(text(&argument).as_bytes(), &mut line);
                }
                let answer = answer_to(&line, |signal| host(&mut metrics.borrow_mut(), signal));
                let expected = text(&said["reply"]);
                match expected.as_str() {
                    // Dovecot closes the connection; we say why.
                    "" => assert!(answer.starts_with("-METRICS-ADD: "), "{said}: {answer}"),
                    refused if refused.starts_with("-METRICS-ADD: ") => {
                        assert!(answer.starts_with("-METRICS-ADD: "), "{said}: {answer}");
                    }
                    expected => assert_eq!(answer, expected, "{said}"),
                }
                checked += 1;
            }
        }
        assert_eq!(checked, 8);
    }

    /// A host without exporters, as far as its metrics' names go.
    fn host(names: &mut Vec<String>, signal: Signal) -> Outcome {
        match signal {
            Signal::AddMetric(metric) if metric.exporter.is_some() => {
                return Err(vec!["none".into()]);
            }
            Signal::AddMetric(metric) => names.push(metric.name.value),
            Signal::RemoveMetric(name) => match names.iter().position(|one| *one == name) {
                Some(place) => drop(names.remove(place)),
                None => return Err(vec![format!("metrics '{name}' not found")]),
            },
            signal => panic!("{signal:?}"),
        }
        Ok(())
    }

    /// What is answered to a line when the host obeys like this.
    fn answer_to(line: &[u8], obey: impl Fn(Signal) -> Outcome) -> String {
        let orders = Orders::default();
        let mut session = Session::new(Fake(orders.clone()), &Wake::new().unwrap());
        let mut said = Vec::new();
        session.turn(HELLO.as_bytes(), &mut said);
        let line = [line, b"\n"].concat();
        let turn = session.turn(&line, &mut said);
        assert_eq!(turn.consumed, line.len());
        if turn.next == Next::Wait {
            assert_eq!(said, b"");
            orders.obey(obey);
            session.turn(b"", &mut said);
        }
        String::from_utf8(said).unwrap()
    }
}
