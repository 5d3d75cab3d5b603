//! The users' programs: as much of IMAP, POP3 and LMTP as the scripts need.
//!
//! Everything here fails with what the network says, or with what the server answered instead
//! of what it should have.

#![expect(clippy::missing_errors_doc, reason = "said above, once")]

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use super::{Ports, config::PASSWORD};
use crate::PATIENCE;

/// A connection that speaks lines.
#[derive(Debug)]
struct Talk {
    stream: BufReader<TcpStream>,
}

impl Talk {
    fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        // Many users may wait for each other.
        stream.set_read_timeout(Some(3 * PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Talk { stream: BufReader::new(stream) })
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes())
    }

    /// The next line, without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server has closed")),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// Lines up to one that is a dot.
    fn lines_to_dot(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            match self.line()? {
                line if line == "." => return Ok(lines),
                line => lines.push(line),
            }
        }
    }

    /// Requires this at the beginning of the next line.
    fn expect(&mut self, start: &str) -> io::Result<String> {
        let line = self.line()?;
        match line.starts_with(start) {
            true => Ok(line),
            false => Err(io::Error::other(format!("{start}... expected, not `{line}`"))),
        }
    }

    /// Reads until the server closes.
    fn end(mut self) -> io::Result<()> {
        self.stream.read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

/// An IMAP connection.
#[derive(Debug)]
pub struct Imap {
    talk: Talk,
    tag: u32,
}

impl Imap {
    /// Connects and logs in.
    pub fn login(ports: &Ports, user: &str) -> io::Result<Self> {
        let mut imap = Self::connect(ports)?;
        imap.command(&format!("LOGIN {user} {PASSWORD}"))?;
        Ok(imap)
    }

    /// Connects.
    pub fn connect(ports: &Ports) -> io::Result<Self> {
        let mut talk = Talk::connect(ports.imap)?;
        talk.expect("* OK ")?;
        Ok(Imap { talk, tag: 0 })
    }

    /// Tries a password that is wrong.
    pub fn fail_to_login(ports: &Ports, user: &str) -> io::Result<()> {
        let mut imap = Self::connect(ports)?;
        let (_, answer) = imap.ask(&format!("LOGIN {user} wrong"))?;
        if !answer.starts_with("NO [AUTHENTICATIONFAILED]") {
            return Err(io::Error::other(answer));
        }
        imap.logout()
    }

    /// Gives a command, which may have literals (`{N+}`), and returns the lines that came
    /// before its OK.
    pub fn command(&mut self, command: &str) -> io::Result<Vec<String>> {
        match self.ask(command)? {
            (lines, answer) if answer.starts_with("OK ") => Ok(lines),
            (_, answer) => Err(io::Error::other(format!("{command}: {answer}"))),
        }
    }

    /// Gives a command, and returns what came before the answer, and the answer without the
    /// tag.
    pub fn ask(&mut self, command: &str) -> io::Result<(Vec<String>, String)> {
        self.tag += 1;
        let tag = format!("a{} ", self.tag);
        self.talk.say(&format!("{tag}{command}\r\n"))?;
        let mut lines = Vec::new();
        loop {
            let line = self.talk.line()?;
            if let Some(answer) = line.strip_prefix(&tag) {
                return Ok((lines, answer.to_owned()));
            }
            let literal = line.strip_suffix('}').and_then(|line| line.rsplit_once('{'));
            if let Some(length) = literal.and_then(|(_, length)| length.parse().ok()) {
                let mut literal = vec![0; length];
                self.talk.stream.read_exact(&mut literal)?;
            }
            lines.push(line);
        }
    }

    /// Appends a message to a mailbox.
    pub fn append(&mut self, mailbox: &str, message: &str) -> io::Result<()> {
        self.command(&format!("APPEND {mailbox} {{{}+}}\r\n{message}", message.len())).map(drop)
    }

    /// Logs out and waits until the server has closed.
    pub fn logout(mut self) -> io::Result<()> {
        self.command("LOGOUT")?;
        self.talk.end()
    }
}

/// A POP3 connection.
#[derive(Debug)]
pub struct Pop3 {
    talk: Talk,
}

impl Pop3 {
    /// Connects and logs in.
    pub fn login(ports: &Ports, user: &str) -> io::Result<Self> {
        let mut talk = Talk::connect(ports.pop3)?;
        talk.expect("+OK")?;
        let mut pop3 = Pop3 { talk };
        pop3.command(&format!("USER {user}"))?;
        pop3.command(&format!("PASS {PASSWORD}"))?;
        Ok(pop3)
    }

    /// Gives a command that is answered with one line.
    pub fn command(&mut self, command: &str) -> io::Result<String> {
        self.talk.say(&format!("{command}\r\n"))?;
        self.talk.expect("+OK")
    }

    /// Gives a command that is answered with many.
    pub fn list(&mut self, command: &str) -> io::Result<Vec<String>> {
        self.command(command)?;
        self.talk.lines_to_dot()
    }

    /// Ends the session, and waits until the server has closed.
    pub fn quit(mut self) -> io::Result<()> {
        self.command("QUIT")?;
        self.talk.end()
    }
}

/// An LMTP connection.
#[derive(Debug)]
pub struct Lmtp {
    talk: Talk,
}

impl Lmtp {
    /// Connects and says hello.
    pub fn connect(ports: &Ports) -> io::Result<Self> {
        let mut talk = Talk::connect(ports.lmtp)?;
        talk.expect("220 ")?;
        let mut lmtp = Lmtp { talk };
        lmtp.talk.say("LHLO client.example.com\r\n")?;
        while lmtp.talk.expect("250")?.as_bytes().get(3) == Some(&b'-') {}
        Ok(lmtp)
    }

    /// Gives a command.
    pub fn command(&mut self, command: &str, answer: &str) -> io::Result<()> {
        self.talk.say(&format!("{command}\r\n"))?;
        self.talk.expect(answer).map(drop)
    }

    /// Delivers a message, whose lines end in CRLF and begin with no dot.
    pub fn deliver(&mut self, users: &[&str], message: &str) -> io::Result<()> {
        self.command("MAIL FROM:<sender@example.com>", "250 ")?;
        for user in users {
            self.command(&format!("RCPT TO:<{user}>"), "250 ")?;
        }
        self.command("DATA", "354 ")?;
        self.talk.say(&format!("{message}\r\n.\r\n"))?;
        // An answer for each of them.
        users.iter().try_for_each(|_| self.talk.expect("250 ").map(drop))
    }

    /// Ends the session, and waits until the server has closed.
    pub fn quit(mut self) -> io::Result<()> {
        self.command("QUIT", "221 ")?;
        self.talk.end()
    }
}
