//! `fantail convert`: what a configuration of Dovecot 2.3 says about statistics, in the
//! syntax of 2.4.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    console::{errln, out},
    load::{Purpose, load_in},
};
use crate::{
    config::{self, Disk, Files, Surroundings},
    exit_code::Exit,
    telemetry::log as host_log,
};

pub(super) const HELP: &str = "\
The text goes to standard output. It has the exporters, the metrics and what `service stats`
says besides what it is anyway; all else of the configuration stays out. What can't be
carried over is a comment there, and a line on standard error.

  doveconf -n | fantail convert > stats.conf
  fantail convert --rename-fields /etc/dovecot/dovecot.conf > stats.conf

Exit status: 0 if the configuration could be converted, 66 if standard input could not be
read, 78 if the configuration has errors.";

/// What the standard input is called.
const STDIN: &str = "-";

/// A standard input that is larger is no configuration.
const STDIN_BYTES_MAX: u64 = 64 << 20;

/// What is to be converted.
#[derive(Debug, Args)]
pub(super) struct ConvertArgs {
    /// The configuration: a dovecot.conf, what `doveconf -n` prints, or a part of either; `-`
    /// is standard input. Of several, later settings win.
    #[arg(value_name = "FILE", default_value = STDIN)]
    files: Vec<PathBuf>,

    /// Also give fields the names that they have in events of 2.4 (`net_in_bytes` for
    /// `bytes_in`).
    #[arg(long)]
    rename_fields: bool,
}

/// The machine's files, and standard input as one more.
struct WithStdin(Vec<u8>);

impl Files for WithStdin {
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        match path == Path::new(STDIN) {
            true if self.0.len() as u64 > bytes_max => Err(io::ErrorKind::FileTooLarge.into()),
            true => Ok(self.0.clone()),
            false => Disk.read(path, bytes_max),
        }
    }

    fn is_dir(&self, path: &Path) -> bool {
        path != Path::new(STDIN) && Disk.is_dir(path)
    }

    fn glob(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        Disk.glob(pattern)
    }
}

/// Converts a configuration.
pub(super) fn convert(args: &ConvertArgs) -> Exit {
    host_log::start(log::LevelFilter::Error);
    let mut stdin = Vec::new();
    if args.files.iter().any(|path| path == Path::new(STDIN))
        && let Err(error) = io::stdin().take(STDIN_BYTES_MAX).read_to_end(&mut stdin)
    {
        errln!("error: standard input can't be read: {error}");
        return Exit::NoInput;
    }
    let files = WithStdin(stdin);
    let surroundings = Surroundings { files: &files, ..Surroundings::MACHINE };
    let loaded = load_in(&args.files, surroundings, Purpose::Convert);
    let Some(config) = loaded.config else { return Exit::Config };
    let parsed = config::parse(&args.files, surroundings);
    let converted = parsed.converted(&config, &loaded.registry, args.rename_fields);
    for note in &converted.notes {
        errln!("note: {note}");
    }
    if converted.text.is_empty() {
        errln!("note: the configuration says nothing about statistics");
    } else {
        out!("{HEAD}{}", converted.text);
    }
    Exit::Success
}

const HEAD: &str = "\
# Statistics in the syntax of Dovecot 2.4, as `fantail convert` wrote them. They belong
# behind dovecot_config_version, or into a file that is included there.

";
