//! The host as a service of systemd's: a stand-in passes it sockets, hears its notifications and
//! keeps its descriptors, as systemd does; and one time it is systemd's own tool.

use std::{
    fs,
    io::IoSliceMut,
    mem::MaybeUninit,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{MetadataExt, PermissionsExt},
            net::{UnixDatagram, UnixListener, UnixStream},
        },
    },
    process::{Child, Command, Stdio},
    time::Duration,
};

use fantail_integration_tests::{
    OUT, Workdir, binary, events,
    peers::{StatsClient, send_unix},
    wait_for,
};
use rustix::{
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
    process::{Pid, Signal, kill_process},
};

const CONFIG: &str = "
input dovecot {
  driver = stats-writer
  path = $DIR/stats-writer
  mode = $MODE
}
$READER
";

const READER: &str = "
listener reader {
  driver = stats-reader
  path = $DIR/stats-reader
}
";

fn config(mode: &str, reader: &str) -> String {
    CONFIG.replace("$MODE", mode).replace("$READER", reader) + OUT
}

/// What stands in for systemd.
struct Systemd {
    dir: Workdir,
    notifications: UnixDatagram,
    /// What it keeps, with its names.
    store: Vec<(String, OwnedFd)>,
    /// All that it was told but descriptors, a line each.
    told: Vec<String>,
}

/// A host that it has started. Dropped, it is killed.
struct Service(Child);

impl Systemd {
    fn new() -> Self {
        let dir = Workdir::new();
        let notifications = UnixDatagram::bind(dir.path("notify")).unwrap();
        notifications.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Systemd { dir, notifications, store: Vec::new(), told: Vec::new() }
    }

    /// Starts the host with what is kept for it, and what a socket unit has opened.
    fn spawn(&self, unit: Vec<(&str, OwnedFd)>) -> Service {
        let kept = self.store.iter();
        let kept = kept.map(|(name, socket)| (name.as_str(), socket.try_clone().unwrap()));
        let passed: Vec<(&str, OwnedFd)> = unit.into_iter().chain(kept).collect();
        let names: Vec<&str> = passed.iter().map(|(name, _)| *name).collect();
        let count = passed.len();
        assert!(count <= 2, "the shell below has two descriptors to spare");
        // A child's numbers are the shell's business: 0 and 1 become 3 and 4.
        let script = "exec 3<&0 4>&1 0</dev/null 1>/dev/null; export LISTEN_PID=$$; \
                      [ $LISTEN_FDS -gt 1 ] || exec 4>&-; [ $LISTEN_FDS -gt 0 ] || exec 3<&-; \
                      exec \"$0\" run -c \"$1\"";
        let log = fs::File::options().create(true).append(true).open(self.dir.path("log")).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(binary()).arg(self.dir.path("fantail.conf"));
        command.env("LISTEN_FDS", count.to_string()).env("LISTEN_FDNAMES", names.join(":"));
        command.env("NOTIFY_SOCKET", self.dir.path("notify")).env("FDSTORE", "16");
        command.env_remove("JOURNAL_STREAM").stderr(log);
        let mut passed = passed.into_iter().map(|(_, socket)| Stdio::from(socket));
        command.stdin(passed.next().unwrap_or_else(Stdio::null));
        command.stdout(passed.next().unwrap_or_else(Stdio::null));
        Service(command.spawn().unwrap())
    }

    fn start(&mut self) -> Service {
        let service = self.spawn(Vec::new());
        self.hear("READY=1");
        service
    }

    /// Hears notifications until one has this line.
    fn hear(&mut self, line: &str) {
        let before = self.told.len();
        wait_for(line, || {
            self.hear_one();
            self.told[before..].iter().any(|told| told == line).then_some(())
        });
    }

    fn hear_one(&mut self) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut text = [0; 4096];
        let mut data = [IoSliceMut::new(&mut text)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let Ok(received) = recvmsg(&self.notifications, &mut data, &mut control, flags) else {
            return;
        };
        let socket = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
            _ => None,
        });
        let text = String::from_utf8(text[..received.bytes].to_vec()).unwrap();
        let name = text.lines().find_map(|line| line.strip_prefix("FDNAME=")).unwrap_or_default();
        match socket {
            Some(socket) => {
                assert!(text.starts_with("FDSTORE=1\n"), "{text}");
                self.store.push((name.to_owned(), socket));
            }
            None if text.starts_with("FDSTOREREMOVE=1\n") => {
                self.store.retain(|(known, _)| known != name);
            }
            None => self.told.extend(text.lines().map(str::to_owned)),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path("log")).unwrap()
    }
}

impl Service {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn stop(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        wait_for("the host's end", || self.0.try_wait().unwrap()).code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn sockets_that_we_have_bound_outlive_a_restart() {
    let mut systemd = Systemd::new();
    systemd.dir.config("fantail.conf", &config("0600", READER));
    let service = systemd.start();
    assert_eq!(systemd.store.len(), 2);
    let path = systemd.dir.path("stats-writer");
    let inode = || fs::metadata(&path).unwrap().ino();
    let first = inode();
    let mut client = StatsClient::hello(&path);
    client.say(&[&events::stats("before", 1)]);
    client.finish();
    assert_eq!(service.stop(), Some(0));
    systemd.hear("STOPPING=1");

    // Nobody runs, and nobody is refused.
    let mut waiting = StatsClient::connect(&path);
    systemd.dir.config("fantail.conf", &config("0640", READER));
    let service = systemd.start();
    assert!(waiting.line().starts_with("VERSION\t"));
    waiting.say(&["VERSION\tstats-client\t4\t0", &events::stats("between", 2)]);
    waiting.finish();
    let lines = systemd.dir.wait_for_lines("out", 2);
    assert!(lines[1].contains("\"between\""), "{lines:?}");
    assert_eq!((inode(), systemd.store.len()), (first, 2));
    // Rights are still those of the configuration.
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);

    // Killed, it leaves the same behind.
    service.signal(Signal::KILL);
    drop(service);
    systemd.dir.config("fantail.conf", &config("0640", ""));
    let service = systemd.start();
    assert_eq!(inode(), first);
    // The listener is no more: its socket neither.
    assert_eq!(systemd.store.len(), 1);
    assert!(!systemd.dir.path("stats-reader").exists());

    // A reload that fails leaves nothing of what it has opened.
    let more = "input more {\n  driver = unix\n  path = $DIR/more\n}\n\
                input wrong {\n  driver = unix\n  path = $DIR/missing/wrong\n}\n";
    systemd.dir.config("fantail.conf", &config("0640", more));
    service.signal(Signal::HUP);
    systemd.hear("RELOADING=1");
    systemd.hear("READY=1");
    assert!(systemd.told.last().unwrap().contains("not reloaded"), "{:?}", systemd.told);
    assert!(!systemd.dir.path("more").exists());
    assert_eq!(systemd.store.len(), 1);

    // An input that a reload takes away goes, too.
    let other = config("0640", "").replace("path = $DIR/stats-writer", "path = $DIR/other");
    systemd.dir.config("fantail.conf", &other);
    service.signal(Signal::HUP);
    systemd.hear("RELOADING=1");
    systemd.hear("READY=1");
    assert!(!path.exists());
    assert_eq!(systemd.store.len(), 1);
    StatsClient::hello(systemd.dir.path("other"));
    assert_eq!(service.stop(), Some(0));

    // A socket whose file is gone is of no use to anybody.
    fs::remove_file(systemd.dir.path("other")).unwrap();
    let service = systemd.start();
    assert_eq!(systemd.store.len(), 1);
    StatsClient::hello(systemd.dir.path("other"));
    assert_eq!(service.stop(), Some(0));
    assert_eq!(systemd.log().matches("but its file is gone").count(), 1, "{}", systemd.log());
}

#[test]
fn a_socket_units_sockets_are_used_as_they_are() {
    let mut systemd = Systemd::new();
    systemd.dir.config("fantail.conf", &config("0600", ""));
    let bind = |name: &str| UnixListener::bind(systemd.dir.path(name)).unwrap();
    let (writer, reader) = (bind("stats-writer"), bind("stats-reader"));
    let path = systemd.dir.path("stats-writer");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut waiting = StatsClient::connect(&path);
    let pass = || {
        let writer = OwnedFd::from(writer.try_clone().unwrap());
        vec![("fantail.socket", writer), ("fantail.socket", reader.try_clone().unwrap().into())]
    };
    let service = systemd.spawn(pass());
    systemd.hear("READY=1");
    assert!(waiting.line().starts_with("VERSION\t"));
    assert!(systemd.told.iter().any(|line| line.starts_with("STATUS=inputs: 1")));
    // The socket that is no input's or listener's became one by itself.
    let done = fantail_integration_tests::status(systemd.dir.path("stats-reader"));
    assert!(done.is_object(), "{done}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    drop(waiting);
    assert_eq!(service.stop(), Some(0));
    assert!(path.exists() && systemd.store.is_empty());
    let _waiting = UnixStream::connect(&path).unwrap();
}

/// How much of a processor's time the process has taken, in clock ticks: proc(5).
fn ticks(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = status.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum()
}

#[test]
fn an_input_that_comes_back_finds_its_socket_and_those_who_wait() {
    let mut systemd = Systemd::new();
    let lines = "input lines {\n  driver = unix\n  path = $DIR/in.sock\n}\n";
    systemd.dir.config("fantail.conf", &config("0600", lines));
    let listener = UnixListener::bind(systemd.dir.path("in.sock")).unwrap();
    let service = systemd.spawn(vec![("fantail.socket", listener.into())]);
    systemd.hear("READY=1");
    let reload = |systemd: &mut Systemd, more: &str| {
        systemd.dir.config("fantail.conf", &config("0600", more));
        service.signal(Signal::HUP);
        systemd.hear("RELOADING=1");
        systemd.hear("READY=1");
    };
    reload(&mut systemd, "");
    let mut peer = UnixStream::connect(systemd.dir.path("in.sock")).unwrap();
    // Nobody is woken by a peer that nobody will accept: else a thread would run all the time.
    let before = ticks(service.0.id());
    std::thread::sleep(Duration::from_millis(500));
    let taken = ticks(service.0.id()) - before;
    assert!(taken < 20, "{taken} ticks of 50");
    reload(&mut systemd, lines);
    std::io::Write::write_all(&mut peer, &events::lines([events::json("e", 1)])).unwrap();
    drop(peer);
    systemd.dir.wait_for_lines("out", 1);
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn a_bad_environment_of_systemds_gets_one_clear_line() {
    let check = |passed: Vec<OwnedFd>, count: &str, expected: &str| {
        let mut systemd = Systemd::new();
        systemd.dir.config("fantail.conf", &config("0600", ""));
        let mut command = Command::new("sh");
        let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$; exec \"$0\" run -c \"$1\"";
        command.args(["-c", script]).arg(binary()).arg(systemd.dir.path("fantail.conf"));
        command.env("LISTEN_FDS", count).env("NOTIFY_SOCKET", systemd.dir.path("notify"));
        command.env_remove("JOURNAL_STREAM").stdout(Stdio::null());
        command.stderr(fs::File::create(systemd.dir.path("log")).unwrap());
        command.stdin(passed.into_iter().next().map_or_else(Stdio::null, Stdio::from));
        let service = Service(command.spawn().unwrap());
        systemd.hear("READY=1");
        let log = systemd.log();
        assert_eq!(log.matches(" warning: ").count(), 1, "{log}");
        assert!(log.contains(expected), "{log}");
        assert_eq!(service.stop(), Some(0));
    };
    let dir = Workdir::new();
    let listener = || OwnedFd::from(UnixListener::bind(dir.path("socket")).unwrap());
    check(Vec::new(), "banana", "LISTEN_FDS is `banana`, which is no number: ignored");
    check(Vec::new(), "1", "the descriptor 3 (`unknown`) of LISTEN_FDS is no socket: left out");
    let pair = UnixStream::pair().unwrap();
    check(vec![pair.0.into()], "1", "is a socket that does not listen: left out");
    check(vec![listener()], "1", "there is no input or listener for it");
}

#[test]
fn fewer_descriptors_than_promised_are_used_as_far_as_they_go() {
    let mut systemd = Systemd::new();
    systemd.dir.config("fantail.conf", &config("0600", ""));
    let writer = UnixListener::bind(systemd.dir.path("stats-writer")).unwrap();
    let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$; exec \"$0\" run -c \"$1\"";
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(binary()).arg(systemd.dir.path("fantail.conf"));
    command.env("LISTEN_FDS", "5").env("NOTIFY_SOCKET", systemd.dir.path("notify"));
    command.stderr(fs::File::create(systemd.dir.path("log")).unwrap());
    let service = Service(command.stdin(OwnedFd::from(writer)).spawn().unwrap());
    systemd.hear("READY=1");
    assert!(systemd.log().contains("LISTEN_FDS is 5, but there are only 1"), "{}", systemd.log());
    StatsClient::hello(systemd.dir.path("stats-writer"));
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn systemds_own_tool_passes_sockets() {
    let dir = Workdir::new();
    let text = config("0600", "").replace("stats-writer\n  path", "unix\n  path");
    dir.config("fantail.conf", &text);
    let mut command = Command::new("systemd-socket-activate");
    command.arg("-l").arg(dir.path("stats-writer")).arg(binary()).arg("run");
    command.arg("-c").arg(dir.path("fantail.conf"));
    command.stderr(fs::File::create(dir.path("log")).unwrap());
    let activated = command.spawn().unwrap_or_else(|error| {
        panic!("systemd-socket-activate: {error}: the package systemd is needed")
    });
    let service = Service(activated);
    wait_for("its socket", || dir.path("stats-writer").exists().then_some(()));
    send_unix(dir.path("stats-writer"), &events::lines([events::json("e", 1)]));
    dir.wait_for_lines("out", 1);
    assert_eq!(service.stop(), Some(0));
    assert!(dir.path("stats-writer").exists());
}
