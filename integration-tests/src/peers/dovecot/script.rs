//! What users do: the same for the same seed.

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;

use super::{Imap, Lmtp, Pop3, Ports};
use crate::PATIENCE;

/// How long it may take until all users have come, while other tests run.
const PATIENCE_OF_MANY: Duration = Duration::from_secs(5 * PATIENCE.as_secs());

/// A script for each of many users, who do not know of each other.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// The same seed, the same commands.
    pub seed: u64,
    /// How many users, who come all at once.
    pub users: usize,
}

/// What a user has done, to be compared with the events that tell of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Did {
    /// Its name.
    pub user: String,
    /// The IMAP commands after the login, in order, and how each was answered.
    pub commands: Vec<(String, String)>,
    /// How many messages it was delivered by LMTP.
    pub delivered: usize,
    /// How many logins failed.
    pub failed: usize,
    /// How many logins succeeded.
    pub logins: usize,
}

impl Script {
    /// Plays all users at the same time; what each has done, in order.
    ///
    /// # Panics
    ///
    /// When something is answered otherwise than it should be.
    pub fn play(&self, ports: &Ports) -> Vec<Did> {
        let logged_in = AtomicUsize::new(0);
        thread::scope(|scope| {
            let logged_in = &logged_in;
            let user = |user| scope.spawn(move || self.play_one(ports, user, logged_in));
            let users: Vec<_> = (0..self.users).map(user).collect();
            users.into_iter().map(|user| user.join().expect("it has said why")).collect()
        })
    }

    fn play_one(&self, ports: &Ports, user: usize, logged_in: &AtomicUsize) -> Did {
        let name = format!("user{user}");
        let mut player = Player {
            rng: Rng::with_seed(self.seed ^ (user as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            ports,
            users: self.users,
            logged_in,
            did: Did { user: name.clone(), ..Did::default() },
        };
        match player.play(&name) {
            Ok(()) => player.did,
            Err(error) => panic!("{name}: {error}, after {:?}", player.did.commands),
        }
    }
}

/// One user at work.
struct Player<'a> {
    rng: Rng,
    ports: &'a Ports,
    users: usize,
    /// How many users have come so far as to have an IMAP session.
    logged_in: &'a AtomicUsize,
    did: Did,
}

impl Player<'_> {
    fn play(&mut self, user: &str) -> io::Result<()> {
        self.receive(user)?;
        if self.rng.bool() {
            Imap::fail_to_login(self.ports, user)?;
            self.did.failed += 1;
        }
        self.read_mail(user)?;
        self.fetch_mail(user)
    }

    /// A message with a text of some length.
    fn message(&mut self) -> String {
        let lines = self.rng.usize(1..40);
        let text = "All work and no play makes Jack a dull boy.\r\n".repeat(lines);
        let subject = ["lunch", "report \"q3\"", "a\tb", "caf\u{e9}"][self.rng.usize(..4)];
        format!("From: sender@example.com\r\nSubject: {subject}\r\n\r\n{text}")
    }

    /// Mail comes in by LMTP.
    fn receive(&mut self, user: &str) -> io::Result<()> {
        let mut lmtp = Lmtp::connect(self.ports)?;
        for _ in 0..self.rng.usize(1..4) {
            let message = self.message();
            lmtp.deliver(&[user], &message)?;
            self.did.delivered += 1;
        }
        lmtp.quit()
    }

    /// A session of IMAP.
    fn read_mail(&mut self, user: &str) -> io::Result<()> {
        let mut imap = Imap::login(self.ports, user)?;
        self.did.logins += 1;
        // So that all sessions are open at the same time.
        self.logged_in.fetch_add(1, Ordering::SeqCst);
        let until = Instant::now() + PATIENCE_OF_MANY;
        while self.logged_in.load(Ordering::SeqCst) < self.users {
            assert!(Instant::now() < until, "waited in vain for all users to log in");
            thread::sleep(Duration::from_millis(20));
        }
        self.ask(&mut imap, "SELECT INBOX")?;
        self.ask(&mut imap, "CREATE Archive")?;
        for _ in 0..self.rng.usize(1..4) {
            let message = self.message();
            imap.append("INBOX", &message)?;
            self.note("APPEND", "OK");
        }
        for _ in 0..self.rng.usize(3..12) {
            let command = [
                "NOOP",
                "FETCH 1:* (FLAGS UID)",
                "FETCH 1 BODY[]",
                "FETCH 1:* (ENVELOPE BODYSTRUCTURE)",
                "SEARCH TEXT dull",
                "UID SEARCH SUBJECT report",
                "STORE 1 +FLAGS (\\Flagged)",
                "STATUS Archive (MESSAGES UNSEEN)",
                "LIST \"\" *",
                "COPY 1 Archive",
                "SELECT Nowhere",
                "SELECT INBOX",
                "NONSENSE",
            ];
            let command = command[self.rng.usize(..command.len())];
            self.ask(&mut imap, command)?;
            if command == "SELECT Nowhere" {
                // It has left the mailbox.
                self.ask(&mut imap, "SELECT INBOX")?;
            }
        }
        self.ask(&mut imap, "MOVE 1 Archive")?;
        self.ask(&mut imap, "EXPUNGE")?;
        imap.logout()?;
        self.note("LOGOUT", "OK");
        Ok(())
    }

    /// A session of POP3.
    fn fetch_mail(&mut self, user: &str) -> io::Result<()> {
        let mut pop3 = Pop3::login(self.ports, user)?;
        self.did.logins += 1;
        let messages = pop3.list("LIST")?.len();
        for n in 1..=messages {
            pop3.list(&format!("RETR {n}"))?;
            if self.rng.bool() {
                pop3.command(&format!("DELE {n}"))?;
            }
        }
        pop3.quit()
    }

    fn ask(&mut self, imap: &mut Imap, command: &str) -> io::Result<()> {
        let (_, answer) = imap.ask(command)?;
        let word = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
        let name = match command.strip_prefix("UID ") {
            Some(rest) => format!("UID {}", word(rest)),
            // What users can write is no name of a metric's group.
            None if command == "NONSENSE" => "unknown".to_owned(),
            None => word(command),
        };
        let state = word(&answer);
        self.note(&name, &state);
        Ok(())
    }

    fn note(&mut self, command: &str, state: &str) {
        self.did.commands.push((command.to_owned(), state.to_owned()));
    }
}
