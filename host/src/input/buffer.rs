//! The bytes of a read, with what the last one left over in front.

use std::io;

/// A reading thread's one buffer. A connection that is between two lines keeps
/// nothing; only the beginning of a line that is not complete yet, or lines that
/// had to wait, are kept apart for it.
#[derive(Debug)]
pub(super) struct ReadBuffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl ReadBuffer {
    /// What one read may bring, in bytes. Large enough that system calls are few,
    /// small enough to stay in the processor's cache.
    const READ: usize = 128 << 10;

    /// An empty buffer.
    pub(super) fn new() -> Self {
        ReadBuffer { bytes: vec![0; Self::READ], filled: 0 }
    }

    /// Begins with `left_over`, which is empty afterwards, and lets `read` append.
    /// Returns how many bytes it brought.
    ///
    /// # Errors
    ///
    /// Those of `read`; what was left over is in the buffer all the same.
    pub(super) fn fill(
        &mut self,
        left_over: &mut Vec<u8>,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.filled = left_over.len();
        if self.bytes.len() < self.filled + Self::READ {
            self.bytes.resize(self.filled + Self::READ, 0);
        }
        self.bytes[..self.filled].copy_from_slice(left_over);
        left_over.clear();
        let brought = read(&mut self.bytes[self.filled..])?;
        self.filled += brought;
        Ok(brought)
    }

    /// What is in the buffer.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Puts what is behind the first `consumed` bytes into `left_over`.
    pub(super) fn keep(&self, consumed: usize, left_over: &mut Vec<u8>) {
        left_over.clear();
        left_over.extend_from_slice(&self.bytes[consumed..self.filled]);
        if left_over.is_empty() && left_over.capacity() > 4096 {
            // An idle connection holds no memory for a burst that is over.
            *left_over = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ReadBuffer;

    #[test]
    fn what_is_left_over_comes_first_next_time() {
        let mut buffer = ReadBuffer::new();
        let mut left_over = b"be".to_vec();
        let brought = buffer.fill(&mut left_over, |room| {
            room[..6].copy_from_slice(b"gin\nen");
            Ok(6)
        });
        assert_eq!((brought.unwrap(), buffer.bytes()), (6, b"begin\nen".as_slice()));
        buffer.keep(6, &mut left_over);
        assert_eq!(left_over, b"en");
        let failed = buffer.fill(&mut left_over, |_| Err(std::io::ErrorKind::WouldBlock.into()));
        assert!(failed.is_err());
        buffer.keep(0, &mut left_over);
        assert_eq!(left_over, b"en");
    }
}
