//! Standard output and standard error, as people and pipes read them.
//!
//! What can't be written to standard output is told on standard error and in the
//! exit status: half an answer must not look like a whole one. Only a reader that
//! has gone, as `head` does, ends the process quietly. When standard error can't be
//! written to, nobody is left to tell.

use std::{
    fmt,
    io::{self, Write},
};

use crate::exit_code::Exit;

/// Prints to standard output, as `print!` does.
macro_rules! out {
    ($($text:tt)*) => {
        $crate::cli::console::write_out(format_args!($($text)*))
    };
}

/// Prints a line to standard output, as `println!` does.
macro_rules! outln {
    ($($text:tt)*) => {
        $crate::cli::console::write_out(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Prints a line to standard error, as `eprintln!` does, but never panics.
macro_rules! errln {
    ($($text:tt)*) => {
        $crate::cli::console::write_err(format_args!("{}\n", format_args!($($text)*)))
    };
}

pub(super) use {errln, out, outln};

/// Writes to standard output; ends the process when that fails.
pub(super) fn write_out(text: fmt::Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    // Each time to the end: what stays in the buffer is lost without a word.
    if let Err(error) = stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        end_unwritten(&error);
    }
}

/// Writes to standard error.
pub(super) fn write_err(text: fmt::Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// Ends the process after an error on standard output.
pub(super) fn end_unwritten(error: &io::Error) -> ! {
    let exit = if error.kind() == io::ErrorKind::BrokenPipe {
        Exit::Success
    } else {
        errln!("error: {}", of_output(error));
        Exit::Output
    };
    std::process::exit(exit.status().into())
}

/// The error with the name of the place: standard output.
pub(super) fn of_output(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("standard output can't be written to: {error}"))
}
