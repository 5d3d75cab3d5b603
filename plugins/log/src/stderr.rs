//! The host's standard error.

use std::time::Instant;

use rustix::io::Errno;

use crate::{LogError, line, socket};

/// Writes lines to descriptor 2.
#[derive(Default)]
pub(crate) struct Stderr {
    line: Vec<u8>,
    torn: bool,
}

/// A pipe that can be written to takes this many bytes without waiting.
const PIPE_BYTES: usize = 4096;

impl Stderr {
    /// Writes a line. One that could be written in part only is ended before the next.
    pub(crate) fn write(&mut self, payload: &[u8], deadline: Instant) -> Result<(), LogError> {
        self.line.clear();
        if self.torn {
            self.line.push(b'\n');
        }
        line::append(&mut self.line, payload);
        self.line.push(b'\n');
        let mut written = 0;
        let result = self.write_all(&mut written, deadline);
        if written > 0 {
            self.torn = result.is_err();
        }
        result.map_err(|errno| match errno {
            Errno::AGAIN => LogError::Wait("nobody reads standard error".into()),
            other => LogError::Wait(format!(
                "can't write to standard error: {}",
                std::io::Error::from(other)
            )),
        })
    }

    fn write_all(&self, written: &mut usize, deadline: Instant) -> Result<(), Errno> {
        let stderr = std::io::stderr();
        for piece in self.line.chunks(PIPE_BYTES) {
            let mut piece = piece;
            while !piece.is_empty() {
                socket::wait(&stderr, deadline)?;
                let write = || rustix::io::write(&stderr, piece);
                let count = socket::write_when_ready(&stderr, deadline, write)?;
                *written += count;
                piece = &piece[count..];
            }
        }
        Ok(())
    }
}
