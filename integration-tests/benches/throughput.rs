//! How many events a host carries for each second of processor time: the whole
//! process, from a stats-writer socket to a driver, by the system's accounting.
//!
//! ```sh
//! cargo build --release && cargo bench -p fantail-integration-tests --bench throughput
//! ```
//!
//! An optional argument is the number of events (2,000,000). The load is made
//! beforehand from a fixed seed: 4,096 different events of some 450 bytes and 15
//! fields, of many users and sessions, sent over and over by one connection.

#![allow(clippy::print_stdout, reason = "the figures are what it is for")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark stops at the first surprise")]

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    signal::{Signal, kill},
    time::TimeValLike,
};

/// How many different events there are.
const DISTINCT: usize = 4096;

/// How often each work is measured.
const RUNS: usize = 3;

fn main() {
    // `cargo bench` adds arguments of its own.
    let wanted = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let events: usize = wanted.unwrap_or(2_000_000) / DISTINCT * DISTINCT;
    let load = load();
    println!("{events} events of {} bytes on average, one worker", load.len() / DISTINCT);
    println!("{:<34} {:>16} {:>20}", "work", "CPU s / million", "events / CPU second");
    let count = "metric all {\n filter = event=imap_command_finished\n}";
    let export = "metric all {\n filter = event=imap_command_finished\n exporter = sink\n}";
    for (work, metric, exporter) in [
        ("one metric, no exporter", count, None),
        ("one metric, none, drop", export, Some(("none", "driver = drop"))),
        ("one metric, json, drop", export, Some(("json", "driver = drop"))),
        ("one metric, tab-text, drop", export, Some(("tab-text", "driver = drop"))),
        ("one metric, json, file", export, Some(("json", "driver = file\n file_path = DIR/out"))),
    ] {
        let mut seconds: Vec<f64> =
            (0..RUNS).map(|_| run(metric, exporter, &load, events)).collect();
        seconds.sort_by(f64::total_cmp);
        let median = seconds[RUNS / 2];
        let million = median * 1e6 / events as f64;
        println!("{work:<34} {million:>16.3} {:>20.0}", events as f64 / median);
    }
}

/// Runs one host and returns the processor seconds it took.
fn run(metric: &str, exporter: Option<(&str, &str)>, load: &[u8], events: usize) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("stats-writer");
    let config = directory.path().join("fantail.conf");
    let mut text = format!(
        "workers = 1\ninput load {{\n driver = stats-writer\n path = {}\n}}\n{metric}\n",
        socket.display()
    );
    if let Some((format, driver)) = exporter {
        let driver = driver.replace("DIR", &directory.path().display().to_string());
        writeln!(text, "event_exporter sink {{\n format = {format}\n {driver}\n}}").unwrap();
    }
    fs::write(&config, text).unwrap();
    let before = children_cpu();
    let mut host = Command::new(binary())
        .args(["run", "-c"])
        .arg(&config)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    send(&connect(&socket, &mut host), load, events);
    kill(nix::unistd::Pid::from_raw(host.id() as i32), Signal::SIGTERM).unwrap();
    let mut log = String::new();
    host.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(host.wait().unwrap().success(), "{log}");
    let received = format!("; {events} events");
    assert!(log.contains(&received), "not all {events} events arrived: {log}");
    children_cpu() - before
}

fn binary() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let target = own.parent().and_then(Path::parent).unwrap();
    let binary = target.join("fantail");
    assert!(binary.exists(), "build it first: cargo build --release");
    binary
}

fn connect(socket: &Path, host: &mut Child) -> UnixStream {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        if let Ok(stream) = UnixStream::connect(socket) {
            return stream;
        }
        assert!(Instant::now() < until && host.try_wait().unwrap().is_none(), "no host");
        thread::sleep(Duration::from_millis(5));
    }
}

fn send(mut stream: &UnixStream, load: &[u8], events: usize) {
    stream
        .write_all(b"VERSION\tstats-client\t4\t0\nCATEGORY\timap\nCATEGORY\tservice:imap\n")
        .unwrap();
    for _ in 0..events / DISTINCT {
        stream.write_all(load).unwrap();
    }
}

/// The processor seconds of all ended children.
fn children_cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    micros as f64 / 1e6
}

/// The events, each a line.
fn load() -> Vec<u8> {
    const COMMANDS: [&str; 6] = ["SELECT", "FETCH", "STORE", "SEARCH", "NOOP", "LIST"];
    let mut random = Random(0x5eed);
    let mut text = String::new();
    for number in 0..DISTINCT {
        let user = random.below(5000);
        let command = COMMANDS[random.below(COMMANDS.len() as u64) as usize];
        let seconds = 1_795_223_758 + number as u64 / 100;
        let created = random.below(900_000);
        let sent = created + random.below(99_999);
        writeln!(
            text,
            "EVENT\t0\t0\t0\t{seconds}\t{created}\tsimap-client.c\t1068\tl{seconds}\t{sent}\t\
             nimap_command_finished\tcimap\tcservice:imap\tSuser\tuser{user:04}@example.org\t\
             Ssession\t{:011x}AAAB\tScmd_name\t{command}\tScmd_input_name\t{command}\t\
             Scmd_args\tINBOX.folder{}\tStagged_reply_state\tOK\tStagged_reply\tOK {command} completed\t\
             Tlast_run_time\t{seconds}\t{created}\tIrunning_usecs\t{}\tIlock_wait_usecs\t{}\t\
             Inet_in_bytes\t{}\tInet_out_bytes\t{}\tScmd_tag\tA{number:04}\tSmailbox\tINBOX.folder{}\t\
             Sremote_ip\t192.0.2.{}",
            random.next(),
            random.below(40),
            random.below(90_000),
            random.below(300),
            random.below(900),
            random.below(90_000),
            random.below(40),
            random.below(255),
        )
        .unwrap();
    }
    text.into_bytes()
}

/// A small generator with a fixed seed: xorshift64* (Vigna 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 20
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
