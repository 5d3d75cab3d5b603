//! The two servers: mail, and Dovecot's own stats process.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use rustix::process::Pid;

use super::{Dovecot, Generation, config, master::Master};
use crate::{Workdir, peers::StatsClient, wait_for};

/// Where a mail server listens, on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// IMAP, with cleartext logins.
    pub imap: u16,
    /// POP3, with cleartext logins.
    pub pop3: u16,
    /// LMTP.
    pub lmtp: u16,
}

/// A mail server for IMAP, POP3 and LMTP that has no stats process: who wants its events
/// listens on [`stats_writer`](Self::stats_writer) and
/// [`login_stats_writer`](Self::login_stats_writer).
///
/// Every user exists.
#[derive(Debug)]
pub struct MailServer {
    master: Master,
    base: PathBuf,
    ports: Ports,
}

impl Ports {
    fn choose() -> Self {
        // All at once, so that they differ.
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [imap, pop3, lmtp] = listeners.map(|it| it.local_addr().unwrap().port());
        Ports { imap, pop3, lmtp }
    }
}

/// Makes the place of a server, which others than root must be able to walk through.
fn make_place(dir: &Workdir, name: &str) -> PathBuf {
    let place = dir.path(name);
    fs::create_dir_all(&place).unwrap();
    fs::set_permissions(dir.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    place
}

/// Makes a directory that everybody may write to.
fn make_open(path: &Path) {
    fs::create_dir_all(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

impl MailServer {
    /// Where the events will be sent, before it has started.
    pub fn stats_writer(dir: &Workdir) -> PathBuf {
        dir.path("mail/run/stats-writer")
    }

    /// The same for processes that log users in, once they are locked into their directory.
    ///
    /// Dovecot does not start when somebody listens where they look, but does when there is a
    /// link to here: relative, as it is followed from inside that directory.
    pub fn login_stats_writer(dir: &Workdir) -> PathBuf {
        dir.path("mail/run/login/fantail/stats-writer")
    }

    /// Makes the directories of the two sockets.
    pub fn prepare(dir: &Workdir) {
        let place = make_place(dir, "mail");
        fs::create_dir_all(place.join("run/login/fantail")).unwrap();
        symlink("fantail/stats-writer", place.join("run/login/stats-writer")).unwrap();
        make_open(&place.join("mail"));
    }

    /// Starts the server in `$DIR/mail`, which [`prepare`](Self::prepare) has made.
    pub fn start(dovecot: &Dovecot, dir: &Workdir) -> Self {
        Self::start_with(dovecot, dir, &[], config::mail_server)
    }

    /// Starts one in `$DIR/mail` that has a stats process of its own, with these exporters and
    /// metrics.
    pub fn start_whole(dovecot: &Dovecot, dir: &Workdir, exporters_and_metrics: &str) -> Self {
        let place = make_place(dir, "mail");
        make_open(&place.join("mail"));
        Self::start_with(dovecot, dir, &[], |generation, place, ports| {
            config::whole_server(generation, place, ports, exporters_and_metrics)
        })
    }

    /// Starts one in `$DIR/mail` whose stats process is what this command line says, with these
    /// variables in the master's environment. A metric `all` counts all named events.
    pub fn start_with_service(
        dovecot: &Dovecot,
        dir: &Workdir,
        executable: &str,
        environment: &[(&str, &Path)],
    ) -> Self {
        let place = make_place(dir, "mail");
        make_open(&place.join("mail"));
        Self::start_with(dovecot, dir, environment, |generation, place, ports| {
            config::server_of(generation, place, ports, executable)
        })
    }

    fn start_with(
        dovecot: &Dovecot,
        dir: &Workdir,
        environment: &[(&str, &Path)],
        config: impl Fn(Generation, &Path, &Ports) -> String,
    ) -> Self {
        let place = dir.path("mail");
        let mut said = String::new();
        // Somebody else may have taken a port meanwhile.
        for _ in 0..5 {
            let ports = Ports::choose();
            let config = config(dovecot.generation, &place, &ports);
            let mut master = Master::start(dovecot, &place, &config, environment);
            match master.wait() {
                Ok(()) => return MailServer { master, base: place.join("run"), ports },
                Err(error) => said = error,
            }
            if !said.contains("Address already in use") {
                break;
            }
        }
        panic!(
            "Dovecot {} did not start. Are its packages for IMAP, POP3 and LMTP installed?\n{said}",
            dovecot.version
        );
    }

    /// Its ports.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// The path of its configuration, for `doveadm`.
    pub fn config_path(&self) -> PathBuf {
        self.base.with_file_name("dovecot.conf")
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.master.log()
    }

    /// The processes of this name that its master has started.
    pub fn processes(&self, name: &str) -> Vec<Pid> {
        self.master.children(name)
    }

    /// Waits until its master has ended, as somebody has told it to.
    pub fn wait_for_end(&mut self) {
        self.master.wait_for_end();
    }

    /// Stops it; when that is done its processes have said everything. Returns what the driver
    /// `log` of its own stats process has written.
    pub fn stop(self) -> Vec<String> {
        let MailServer { master, base, .. } = self;
        drop(master);
        logged_payloads(&base)
    }
}

/// Dovecot's own stats process, under a master that has nothing else to do.
#[derive(Debug)]
pub struct StatsServer {
    master: Master,
    base: PathBuf,
}

impl StatsServer {
    /// Starts it in `$DIR/stats`, with these exporters and metrics, and waits until it takes
    /// events.
    pub fn start(dovecot: &Dovecot, dir: &Workdir, exporters_and_metrics: &str) -> Self {
        let place = make_place(dir, "stats");
        let config = config::stats_server(dovecot.generation, &place) + exporters_and_metrics;
        let mut master = Master::start(dovecot, &place, &config, &[]);
        if let Err(said) = master.wait() {
            panic!("Dovecot {} did not start: {said}", dovecot.version);
        }
        let base = place.join("run");
        wait_for("Dovecot's socket", || UnixStream::connect(base.join("stats-writer")).ok());
        let server = StatsServer { master, base };
        // The process is started by the first connection, and says this when it is ready.
        let mut client = StatsClient::hello(server.writer());
        client.line();
        assert!(client.line().starts_with("FILTER\t"));
        server
    }

    /// The master's process.
    pub fn pid(&self) -> u32 {
        self.master.pid()
    }

    /// The socket that takes events.
    pub fn writer(&self) -> PathBuf {
        self.base.join("stats-writer")
    }

    /// The socket that tells statistics.
    pub fn reader(&self) -> PathBuf {
        self.base.join("stats-reader")
    }

    /// Its log.
    pub fn log_path(&self) -> PathBuf {
        self.base.with_file_name("log")
    }

    /// What its driver `log` has written so far, in order: 2.3 has no files.
    pub fn logged_payloads(&self) -> Vec<String> {
        logged_payloads(&self.base)
    }

    /// Stops it, and returns what its driver `log` has written.
    pub fn stop(self) -> Vec<String> {
        let StatsServer { master, base } = self;
        drop(master);
        logged_payloads(&base)
    }

    /// What each metric counted, as `doveadm stats dump -f count` asks.
    pub fn counts(&self) -> Vec<u64> {
        let mut stream = UnixStream::connect(self.reader()).unwrap();
        stream.write_all(b"VERSION\tstats-reader-client\t2\t0\nDUMP\tcount\n").unwrap();
        let lines = BufReader::new(stream).lines().map(Result::unwrap);
        // Behind the version, up to the empty line.
        let lines = lines.skip(1).take_while(|line| !line.is_empty());
        lines.map(|line| line.rsplit_once('\t').unwrap().1.parse().unwrap()).collect()
    }
}

fn logged_payloads(base: &Path) -> Vec<String> {
    let log = fs::read(base.join("../log")).unwrap();
    let log = String::from_utf8_lossy(&log);
    let payloads = log.lines().filter_map(|line| line.strip_prefix("stats: Info: "));
    payloads.map(str::to_owned).collect()
}
