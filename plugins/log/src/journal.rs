//! systemd's journal, by its native protocol
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).

use std::{
    fs::File,
    io::{self, IoSlice, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::Instant,
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    io::Errno,
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketType, send, sendmsg},
};

use fantail_sdk::List;

use crate::{
    LogError, socket,
    style::{self, Style},
};

/// A connection to the journal.
pub(crate) struct Journal {
    path: PathBuf,
    socket: OwnedFd,
    /// The fields that every entry has; an entry is made behind them.
    entry: Vec<u8>,
    fixed: usize,
    value: Vec<u8>,
}

impl Journal {
    pub(crate) fn open(path: &Path, style: &Style, exporter: &str) -> Result<Self, LogError> {
        let socket = socket::open(path, SocketType::DGRAM)
            .map_err(|errno| socket::error("connect to", path, errno))?;
        let mut entry = Vec::new();
        field(&mut entry, "SYSLOG_FACILITY", style.facility.to_string().as_bytes());
        field(&mut entry, "SYSLOG_IDENTIFIER", style.app_name.as_bytes());
        field(&mut entry, "FANTAIL_EXPORTER", exporter.as_bytes());
        Ok(Journal { path: path.to_owned(), socket, fixed: entry.len(), entry, value: Vec::new() })
    }

    /// Writes an entry; a value that the event does not have is left out.
    pub(crate) fn write(
        &mut self,
        payload: &[u8],
        style: &Style,
        label: &List<'_>,
        deadline: Instant,
    ) -> Result<(), LogError> {
        self.entry.truncate(self.fixed);
        field(&mut self.entry, "PRIORITY", &[b'0' + style.severity(label)]);
        for wanted in &style.fields {
            let value = style::expand(&wanted.value, label, &mut self.value);
            if !value.is_empty() {
                field(&mut self.entry, &wanted.journal_name, value);
            }
        }
        field(&mut self.entry, "MESSAGE", payload);
        let send = || send(&self.socket, &self.entry, SendFlags::NOSIGNAL);
        match socket::write_when_ready(&self.socket, deadline, send) {
            Ok(_) => Ok(()),
            Err(Errno::MSGSIZE | Errno::NOBUFS) => self.send_in_memory(deadline),
            Err(errno) => Err(socket::error("write to", &self.path, errno)),
        }
    }

    /// Hands an entry that is too long for a datagram over as a sealed file in memory.
    fn send_in_memory(&self, deadline: Instant) -> Result<(), LogError> {
        let give_up = |error: io::Error| {
            LogError::GiveUp(format!("{} bytes are too long: {error}", self.entry.len()))
        };
        let file = self.sealed_file().map_err(give_up)?;
        let files = [file.as_fd()];
        let send = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&files));
            sendmsg(&self.socket, &[IoSlice::new(&[])], &mut control, SendFlags::NOSIGNAL)
        };
        socket::write_when_ready(&self.socket, deadline, send)
            .map(|_| ())
            .map_err(|errno| socket::error("write to", &self.path, errno))
    }

    fn sealed_file(&self) -> io::Result<File> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(memfd_create("fantail-entry", flags)?);
        file.write_all(&self.entry)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        Ok(file)
    }
}

/// Appends a field: in the form for text or, with a line feed inside, the one for any bytes.
fn field(entry: &mut Vec<u8>, name: &str, value: &[u8]) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value);
    entry.push(b'\n');
}
