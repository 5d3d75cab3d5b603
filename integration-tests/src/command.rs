//! The `fantail` command, run until it ends by itself.

use std::{
    env,
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

/// What a command that has ended said.
#[derive(Debug)]
pub struct Done {
    /// Its exit status; `None` after a signal.
    pub status: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
}

impl Done {
    /// The standard output as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("the output is UTF-8")
    }
}

/// The directory where the build left the host, its plugins and this program.
pub fn build_dir() -> PathBuf {
    let own = env::current_exe().unwrap();
    let directory = own.parent().expect("a program lies in a directory");
    // Programs lie in target/<profile>, tests in target/<profile>/deps.
    match directory.file_name() {
        Some(name) if name == "deps" => directory.parent().unwrap().to_owned(),
        _ => directory.to_owned(),
    }
}

/// The host's command. Building it is the caller's business, as `integration-tests/run`
/// does: a test that built would wait for the lock that `cargo test` holds.
///
/// # Panics
///
/// When it, or the plugins that it finds beside itself, are not there.
pub fn binary() -> PathBuf {
    for needed in ["fantail", "libfantail_json.so", "libfantail_unix.so"] {
        let needed = build_dir().join(needed);
        assert!(
            needed.is_file(),
            "{} is not there: run `cargo build --workspace` first, or integration-tests/run",
            needed.display()
        );
    }
    build_dir().join("fantail")
}

/// The host's command with nothing of our surroundings that changes what it does.
pub fn command() -> Command {
    clean(Command::new(binary()))
}

/// Any command in such surroundings.
pub(crate) fn clean(mut command: Command) -> Command {
    for variable in ["JOURNAL_STREAM", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "NO_COLOR"] {
        command.env_remove(variable);
    }
    command
}

/// Runs `fantail` with these arguments and no input.
pub fn fantail(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Done {
    feed(arguments, b"")
}

/// Runs `fantail` with these arguments and this standard input.
pub fn feed(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>, input: &[u8]) -> Done {
    let mut command = command();
    command.args(arguments);
    run(&mut command, input)
}

/// Runs any command with this standard input.
///
/// # Panics
///
/// When it can't be started: then it is not installed, see integration-tests/run.
pub fn run(command: &mut Command, input: &[u8]) -> Done {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}: not installed?"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A thread of its own: neither side may wait for the other. A command that has
    // seen enough closes its end.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    Done { status: status.code(), stdout, stderr }
}

/// What `fantail status --json` says of the host that listens at this socket.
pub fn status(socket: impl AsRef<Path>) -> serde_json::Value {
    let socket = socket.as_ref().to_str().unwrap();
    let done = fantail(["status", "--json", "--socket-path", socket]);
    assert_eq!(done.status, Some(0), "{done:?}");
    serde_json::from_str(done.text()).unwrap()
}
