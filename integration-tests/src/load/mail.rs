//! A mail server at work: logins, IMAP sessions with their commands, deliveries.

use fastrand::Rng;

use super::{
    Inherits, Load, Users,
    event::{Field, Layer, Moment, Value},
};

/// How many IMAP sessions may be open at a time.
const SESSIONS_MAX: usize = 200;

/// Makes the events.
pub(super) struct Server {
    random: Rng,
    users: Users,
    now: Moment,
    /// For the next event that others refer to.
    next_id: u64,
    sessions: Vec<Session>,
    load: Load,
}

/// An IMAP session, from its login to its end.
struct Session {
    layer: Layer,
    user: String,
    session: String,
    commands_left: u32,
    tag: u32,
    mailbox: &'static str,
}

/// A command, its arguments, its answer, its reason codes.
struct Command {
    /// How often it comes.
    weight: u32,
    name: &'static str,
    /// Where `$MAILBOX` stands the session's mailbox comes, and some number for `$N`.
    arguments: &'static str,
    reply: &'static str,
    reason_code: &'static [&'static str],
    /// Bytes that the client is sent, at most.
    bytes_out_max: u64,
}

const COMMANDS: &[Command] = &[
    Command {
        weight: 18,
        name: "FETCH",
        arguments: "$N:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc \
                    Resent-Message-ID Subject Date Message-ID Priority X-Priority References \
                    Newsgroups In-Reply-To Content-Type Reply-To)])",
        reply: "Fetch completed.",
        reason_code: &["imap:cmd_fetch", "imap:fetch_header_fields"],
        bytes_out_max: 90_000,
    },
    Command {
        weight: 11,
        name: "FETCH",
        arguments: "$N (UID FLAGS INTERNALDATE RFC822.SIZE BODYSTRUCTURE BODY.PEEK[]<0.262144>)",
        reply: "Fetch completed.",
        reason_code: &["imap:cmd_fetch", "imap:fetch_body", "imap:fetch_bodystructure"],
        bytes_out_max: 270_000,
    },
    Command {
        weight: 15,
        name: "SELECT",
        arguments: "\"$MAILBOX\" (CONDSTORE)",
        reply: "[READ-WRITE] Select completed",
        reason_code: &["imap:cmd_select"],
        bytes_out_max: 400,
    },
    Command {
        weight: 14,
        name: "STORE",
        arguments: "$N:$N,17:23,29,31:40,52,61:64,71 +FLAGS.SILENT (\\Seen $Forwarded)",
        reply: "Store completed.",
        reason_code: &["imap:cmd_store"],
        bytes_out_max: 120,
    },
    Command {
        weight: 9,
        name: "SEARCH",
        arguments: "RETURN (ALL) CHARSET UTF-8 UNDELETED SINCE 1-Nov-2026 \
                    OR HEADER SUBJECT \"invoice $N\" HEADER FROM \"invoice $N\"",
        reply: "Search completed",
        reason_code: &["imap:cmd_search"],
        bytes_out_max: 800,
    },
    Command {
        weight: 12,
        name: "STATUS",
        arguments: "\"$MAILBOX\" (UIDNEXT UIDVALIDITY UNSEEN RECENT MESSAGES HIGHESTMODSEQ)",
        reply: "Status completed",
        reason_code: &["imap:cmd_status"],
        bytes_out_max: 160,
    },
    Command {
        weight: 10,
        name: "NOOP",
        arguments: "",
        reply: "NOOP completed.",
        reason_code: &["imap:cmd_noop"],
        bytes_out_max: 60,
    },
    Command {
        weight: 8,
        name: "LIST",
        arguments: "\"\" \"*\" RETURN (SUBSCRIBED SPECIAL-USE)",
        reply: "List completed.",
        reason_code: &["imap:cmd_list"],
        bytes_out_max: 2_500,
    },
    Command {
        weight: 8,
        name: "COPY",
        arguments: "$N \"Archive/2026\"",
        reply: "[COPYUID 1795223759 $N 17] Copy completed.",
        reason_code: &["imap:cmd_copy"],
        bytes_out_max: 90,
    },
];

const LOGOUT: Command = Command {
    weight: 0,
    name: "LOGOUT",
    arguments: "",
    reply: "Logout completed.",
    reason_code: &["imap:cmd_logout"],
    bytes_out_max: 70,
};

const MAILBOXES: [&str; 8] = [
    "INBOX",
    "INBOX",
    "Sent",
    "Drafts",
    "Archive/2026",
    "Lists/dovecot-users",
    "Éléments envoyés",
    "Projects/Quarterly reports",
];

const SUBJECTS: [&str; 4] = [
    "Re: [dovecot-users] Filters on event fields",
    "Invoice 2026-1147 is ready",
    "Grüße aus Helsinki",
    "Your \"weekly\" report",
];

impl Server {
    pub(super) fn new(seed: u64, inherits: Inherits) -> Self {
        Server {
            random: Rng::with_seed(seed),
            users: Users::new(),
            now: Moment::START,
            next_id: 1,
            sessions: Vec::new(),
            load: Load::empty(Users::name(0), inherits),
        }
    }

    /// Makes so many events, then what closes the open sessions.
    pub(super) fn run(mut self, events: usize) -> Load {
        // Room for the ends of the sessions and for the last one.
        let wanted = |open: usize| (events as u64).saturating_sub(2 * open as u64 + 4);
        while self.load.all.events < wanted(self.sessions.len()) {
            let open_max = SESSIONS_MAX.min(1 + events / 40);
            match self.random.u32(..100) {
                0..5 if self.sessions.len() < open_max => self.log_in(),
                5..13 => self.deliver(),
                _ if self.sessions.is_empty() => self.log_in(),
                _ => self.go_on(),
            }
        }
        while !self.sessions.is_empty() {
            self.log_out(0);
        }
        self.finish()
    }

    /// The last session: of the most active user, and its last command is a FETCH.
    fn finish(mut self) -> Load {
        let session = self.open_session(Users::name(0));
        self.command(session, &COMMANDS[0]);
        let id = self.sessions[session].layer.id;
        self.load.end(id);
        self.load
    }

    /// A time from now on, and how long something takes until then.
    fn pass(&mut self, micros_max: u64) -> (Moment, Moment) {
        let created = Moment(self.now.0 + self.random.u64(1..1500));
        // Most things are quick.
        let magnitude = self.random.u64(1..=micros_max);
        let sent = Moment(created.0 + self.random.u64(1..=magnitude));
        self.now = created;
        (created, sent)
    }

    fn layer(&mut self, name: &'static str, source: &'static str, micros_max: u64) -> Layer {
        let (created, sent) = self.pass(micros_max);
        Layer { id: 0, name, source, created, sent, categories: &[], fields: Vec::new() }
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn session_name(&mut self) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let random = (0..12).map(|_| DIGITS[self.random.usize(..64)] as char);
        random.chain("AAAB".chars()).collect()
    }

    fn log_in(&mut self) {
        let user = Users::name(self.users.choose(&mut self.random));
        self.open_session(user);
    }

    /// What the login process and the IMAP process say when somebody logs in. Returns the
    /// session's place.
    fn open_session(&mut self, user: String) -> usize {
        let session = self.session_name();
        let remote_ip = format!("198.51.100.{}", self.random.u32(1..255));
        let remote_port = self.random.i64(32_768..61_000);
        let ips = |prefix: [&'static str; 4]| -> [Field; 4] {
            [
                (prefix[0], Value::text("192.0.2.25")),
                (prefix[1], Value::Text(remote_ip.clone())),
                (prefix[2], Value::Integer(993)),
                (prefix[3], Value::Integer(remote_port)),
            ]
        };
        let mut login =
            self.layer("auth_client_request_finished", "auth-client-request.c:528", 40_000);
        login.categories = &["service:imap-login", "auth-client"];
        login.fields = vec![
            ("id", Value::Integer(self.random.i64(1..2000))),
            ("mechanism", Value::text("PLAIN")),
            ("protocol", Value::text("imap")),
            ("transport", Value::text("TLS")),
            ("session", Value::Text(session.clone())),
        ];
        login.fields.extend(ips(["local_ip", "remote_ip", "local_port", "remote_port"]));
        login.fields.extend(ips([
            "real_local_ip",
            "real_remote_ip",
            "real_local_port",
            "real_remote_port",
        ]));
        login.fields.push(("user", Value::Text(user.clone())));
        self.load.event(&[], &[], &login);

        let mut layer = self.layer("", "main.c:258", 900);
        layer.id = self.new_id();
        layer.categories = &["service:imap", "imap"];
        layer.fields = vec![("user", Value::Text(user.clone()))];
        layer.fields.extend(ips(["local_ip", "remote_ip", "local_port", "remote_port"]));
        layer.fields.push(("session", Value::Text(session.clone())));
        self.load.begin(&[], &layer);
        let commands_left = self.random.u32(3..40);
        self.sessions.push(Session {
            layer,
            user,
            session,
            commands_left,
            tag: 1,
            mailbox: "INBOX",
        });
        self.sessions.len() - 1
    }

    /// The next command of some session, or its end.
    fn go_on(&mut self) {
        let session = self.random.usize(..self.sessions.len());
        if self.sessions[session].commands_left == 0 {
            return self.log_out(session);
        }
        self.sessions[session].commands_left -= 1;
        let sum: u32 = COMMANDS.iter().map(|command| command.weight).sum();
        let mut at = self.random.u32(..sum);
        let command = COMMANDS
            .iter()
            .find(|command| match at.checked_sub(command.weight) {
                Some(rest) => {
                    at = rest;
                    false
                }
                None => true,
            })
            .expect("invariant: the number is below the sum");
        if command.name == "SELECT" {
            self.sessions[session].mailbox = MAILBOXES[self.random.usize(..MAILBOXES.len())];
        }
        self.command(session, command);
    }

    fn command(&mut self, session: usize, command: &Command) {
        let mut layer = self.layer("imap_command_finished", "imap-client.c:1068", 60_000);
        let running = ((layer.sent.0 - layer.created.0) * 9 / 10) as i64;
        let number = self.random.u32(1..9000).to_string();
        let Session { tag, mailbox, .. } = &mut self.sessions[session];
        *tag += 1;
        let (tag, mailbox) = (format!("A{tag:04}"), *mailbox);
        let fill = |text: &str| text.replace("$MAILBOX", mailbox).replace("$N", &number);
        let arguments = fill(command.arguments);
        let mut fields = vec![
            ("cmd_name", Value::text(command.name)),
            ("cmd_input_name", Value::text(command.name)),
        ];
        if !arguments.is_empty() {
            fields.push(("cmd_args", Value::text(arguments.clone())));
            fields.push(("cmd_human_args", Value::text(arguments.clone())));
        }
        let is_refused = self.random.u32(..100) < 3;
        let (state, reply) = if is_refused {
            ("NO", "NO [NONEXISTENT] Mailbox doesn't exist".to_owned())
        } else {
            ("OK", format!("OK {}", fill(command.reply)))
        };
        fields.extend([
            ("tagged_reply_state", Value::text(state)),
            ("tagged_reply", Value::Text(reply)),
            ("last_run_time", Value::Time(layer.created)),
            ("running_usecs", Value::Integer(running)),
            ("lock_wait_usecs", Value::Integer(self.random.i64(0..300))),
            ("net_in_bytes", Value::Integer(arguments.len() as i64)),
            ("net_out_bytes", Value::Integer(self.random.i64(10..command.bytes_out_max as i64))),
        ]);
        layer.fields = fields;
        // A command that takes time is begun, and what happens in it refers to it.
        let is_begun = command.name == "FETCH" && self.random.u32(..8) == 0;
        let known: [Field; 3] = [
            ("cmd_tag", Value::Text(tag)),
            ("reason_code", Value::List(command.reason_code)),
            ("mailbox", Value::text(mailbox)),
        ];
        let parent = self.sessions[session].layer.clone();
        if is_begun {
            self.begun_command(parent, layer, known);
        } else {
            let of_mailbox = !command.arguments.is_empty() && command.name != "LIST";
            layer.fields.extend(known.into_iter().take(if of_mailbox { 3 } else { 2 }));
            self.load.event(&[], &[parent], &layer);
        }
    }

    /// A FETCH that opens a mail.
    fn begun_command(&mut self, session: Layer, finished: Layer, known: [Field; 3]) {
        let mut begun = finished.clone();
        begun.id = self.new_id();
        begun.name = "";
        begun.source = "imap-client.c:961";
        begun.sent = begun.created;
        begun.fields = finished.fields[..1].to_vec();
        begun.fields.extend(known);
        self.load.begin(std::slice::from_ref(&session), &begun);
        let mut opened = self.layer("mail_opened", "mail.c:724", 3_000);
        opened.categories = &["mail"];
        opened.fields = vec![
            ("reason", Value::text("prefetch")),
            ("seq", Value::Integer(self.random.i64(1..900))),
            ("uid", Value::Integer(self.random.i64(1..90_000))),
            ("mail_age_days", Value::Integer(self.random.i64(0..700))),
        ];
        self.load.event(&[session.clone(), begun.clone()], std::slice::from_ref(&session), &opened);
        let id = begun.id;
        self.load.event(&[], &[session, begun], &finished);
        self.load.end(id);
    }

    fn log_out(&mut self, session: usize) {
        self.command(session, &LOGOUT);
        let Session { layer, user, session, .. } = self.sessions.swap_remove(session);
        let mut finished = self.layer("mail_user_session_finished", "mail-user.c:159", 2_000_000);
        finished.categories = &["storage"];
        finished.fields = vec![
            ("minor_faults", Value::Integer(self.random.i64(380..900))),
            ("rss", Value::Integer(self.random.i64(1500..2200) * 4096)),
            ("vsz", Value::Integer(self.random.i64(2300..2500) * 4096)),
            ("user", Value::Text(user)),
            ("session", Value::Text(session)),
            ("service", Value::text("imap")),
        ];
        let id = layer.id;
        self.load.event(&[], &[layer], &finished);
        self.load.end(id);
    }

    /// A mail comes for somebody.
    fn deliver(&mut self) {
        let user = Users::name(self.users.choose(&mut self.random));
        let session = self.session_name();
        let mut parent = self.layer("", "lmtp-local.c:444", 900);
        parent.id = self.new_id();
        parent.categories = &["service:lmtp", "lmtp"];
        parent.fields = vec![
            ("user", Value::Text(user)),
            ("local_ip", Value::text("192.0.2.25")),
            ("local_port", Value::Integer(24)),
            ("remote_ip", Value::text("192.0.2.7")),
            ("remote_port", Value::Integer(self.random.i64(32_768..61_000))),
            ("session", Value::Text(session)),
            ("service", Value::text("lmtp")),
        ];
        self.load.begin(&[], &parent);
        let mut started = self.layer("mail_delivery_started", "mail-deliver.c:602", 300);
        started.categories = &["local-delivery"];
        let sender = Users::name(self.random.usize(..Users::COUNT));
        let size = self.random.i64(900..400_000);
        started.fields = vec![
            ("message_id", Value::text(format!("<{:016x}@mx.example.net>", self.random.u64(..)))),
            ("message_subject", Value::text(SUBJECTS[self.random.usize(..SUBJECTS.len())])),
            ("message_from", Value::Text(sender)),
            ("message_size", Value::Integer(size)),
            ("message_vsize", Value::Integer(size + size / 70)),
        ];
        self.load.event(&[], std::slice::from_ref(&parent), &started);
        let mut finished = self.layer("mail_delivery_finished", "mail-deliver.c:629", 90_000);
        finished.categories = started.categories;
        finished.fields = started.fields;
        let id = parent.id;
        self.load.event(&[], &[parent], &finished);
        self.load.end(id);
    }
}
