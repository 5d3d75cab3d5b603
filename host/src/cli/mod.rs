//! The `fantail` command and its sub-commands.
//!
//! Only here is anything printed; the rooms behind it log.

mod check;
mod console;
mod convert;
mod dead_letters;
mod demo;
mod explain;
mod filter;
mod load;
mod memory;
mod plan;
mod plugins;
mod reader;
mod run;
mod stats;
mod status;
mod table;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::exit_code::Exit;

/// Filters, counts and ships structured events: Dovecot's, or anybody's.
#[derive(Debug, Parser)]
#[command(name = "fantail", version, propagate_version = true)]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Run the host with a configuration, until SIGTERM or SIGINT, or until every input
    /// has ended.
    ///
    /// SIGTERM and SIGINT stop it in order: it delivers what it has accepted, for
    /// `shutdown_timeout` at most. SIGUSR1 has the drivers open their files and
    /// connections anew, as `fantail reopen` does: send it after log files have been
    /// rotated, as by `kill -USR1 PID` in logrotate's `postrotate`. SIGHUP has the
    /// host read its configuration again, as `fantail reload` does: it goes on with
    /// it, or as before if it has errors.
    ///
    /// As a service of Dovecot's (`service stats { executable = .../fantail run }`) it uses the
    /// sockets that Dovecot listens on, and Dovecot's configuration unless told otherwise.
    #[command(after_help = RUN_HELP)]
    Run(RunArgs),
    /// Check a configuration: say what is wrong with it, and what would go where.
    ///
    /// Opens nothing for writing. A table each shows the inputs, the listeners and the
    /// metrics, with the exporter, format, driver and target of each.
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Print the effective configuration, with every default.
    #[command(after_help = CHECK_HELP)]
    Config(ConfigArgs),
    /// Write what a Dovecot 2.3 configuration says about statistics in the syntax of 2.4.
    #[command(after_help = convert::HELP)]
    Convert(convert::ConvertArgs),
    /// Print the events in FILE (or standard input) that a filter matches.
    #[command(after_help = filter::HELP)]
    Filter(filter::FilterArgs),
    /// List the plugins, or show the settings of one.
    #[command(subcommand)]
    Plugins(plugins::PluginsCommand),
    /// Show a running host's ledger: where every line and every payload is.
    #[command(after_help = reader::HELP)]
    Status(status::StatusArgs),
    /// Show what the metrics of a running host have counted; add and remove metrics.
    #[command(subcommand)]
    Stats(stats::StatsCommand),
    /// List, show, replay or drop dead letters: events that are not tried again, and were
    /// kept (`dead_letters = keep`).
    #[command(subcommand, after_help = dead_letters::HELP)]
    DeadLetters(dead_letters::LettersCommand),
    /// Have a running host's drivers open their files and connections anew.
    #[command(after_help = reader::HELP)]
    Reopen(reader::ReaderArgs),
    /// Have a running host read its configuration again, and say what is wrong with it.
    ///
    /// What has not changed goes on: connections, queues, counts. If there is any
    /// error, all of it goes on as before.
    #[command(after_help = reader::HELP)]
    Reload(reader::ReaderArgs),
    /// Show it at work: recorded Dovecot traffic through metrics and exporters.
    Demo,
}

const RUN_HELP: &str = "\
Exit status: 0 if everything was delivered or dropped as configured, 66 if an input
could not be read to its end, 71 if the system refused something, 75 if events were
lost at the end of shutdown_timeout, 78 if the configuration has errors.";

const CHECK_HELP: &str = "\
Exit status: 0 if the configuration has no errors, 78 if it has.";

/// Which configuration.
#[derive(Debug, Args)]
struct ConfigArgs {
    /// A configuration file, or a directory whose *.conf files are read in name
    /// order. Can be given several times: later settings win.
    #[arg(short = 'c', long = "config", value_name = "FILE", required = true)]
    config: Vec<PathBuf>,
}

/// What `fantail check` is asked.
#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Also name each setting and block that means nothing here.
    #[arg(short, long)]
    verbose: bool,
}

/// Which configuration to run.
#[derive(Debug, Args)]
struct RunArgs {
    /// A configuration file, or a directory whose *.conf files are read in name
    /// order. Can be given several times: later settings win. As a service of Dovecot's,
    /// default: the configuration that Dovecot has read.
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config: Vec<PathBuf>,
}

/// Where plugins are looked for, besides what a configuration says.
#[derive(Debug, Args)]
struct PluginArgs {
    /// A directory to look for plugins in before the built-in ones. Can be given
    /// several times.
    #[arg(long = "plugin-dir", value_name = "DIR")]
    plugin_dir: Vec<PathBuf>,
}

/// Runs the command that the process was started as.
pub fn main() -> Exit {
    let command = match Command::try_parse() {
        Ok(command) => command,
        Err(answer) => return show(&answer),
    };
    match command.what {
        What::Run(args) if args.config.is_empty() && !run::is_configured_by_environment() => {
            show(&no_configuration())
        }
        What::Run(args) => run::run(&args.config),
        What::Check(args) => check::check(&args.config.config, args.verbose),
        What::Config(args) => check::effective(&args.config),
        What::Convert(args) => convert::convert(&args),
        What::Filter(args) => filter::filter(&args),
        What::Plugins(command) => plugins::plugins(&command),
        What::Status(args) => status::status(&args),
        What::Stats(command) => stats::stats(&command),
        What::DeadLetters(command) => dead_letters::letters(&command),
        What::Reopen(args) => status::reopen(&args),
        What::Reload(args) => status::reload(&args),
        What::Demo => demo::demo(),
    }
}

/// `run` needs to be told its configuration, unless its environment tells.
fn no_configuration() -> clap::Error {
    let mut command = Command::command();
    command.build();
    let kind = clap::error::ErrorKind::MissingRequiredArgument;
    let message = "the following required arguments were not provided:\n  --config <FILE>";
    match command.find_subcommand_mut("run") {
        Some(run) => run.error(kind, message),
        None => command.error(kind, message),
    }
}

/// Shows what was asked for (the help, the version) or what is wrong with the arguments.
fn show(answer: &clap::Error) -> Exit {
    let printed = answer.print();
    if answer.use_stderr() {
        return Exit::Usage;
    }
    if let Err(error) = printed {
        console::end_unwritten(&error);
    }
    Exit::Success
}
