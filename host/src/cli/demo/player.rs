//! Plays recorded connections to a stats-writer socket, at a pace that people
//! can follow.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// What Dovecot processes (imap-login, and imap of several sessions) have sent.
const RECORDINGS: [&str; 5] = [
    include_str!("../../../../conf.d/demo/02.stats-writer"),
    include_str!("../../../../conf.d/demo/22.stats-writer"),
    include_str!("../../../../conf.d/demo/28.stats-writer"),
    include_str!("../../../../conf.d/demo/38.stats-writer"),
    include_str!("../../../../conf.d/demo/46.stats-writer"),
];

/// How long all of it takes.
const DURATION: Duration = Duration::from_secs(4);

/// Plays every recording, one connection after the other.
pub(super) fn play(socket: &Path) -> io::Result<()> {
    let total: usize = RECORDINGS.iter().map(|recording| recording.lines().count()).sum();
    let start = Instant::now();
    let mut played = 0;
    for recording in RECORDINGS {
        let mut stream = UnixStream::connect(socket)?;
        // As a Dovecot process does: wait for the version and the filter first.
        let mut answers = BufReader::new(stream.try_clone()?).lines();
        for _ in ["VERSION", "FILTER"] {
            answers.next().transpose()?;
        }
        for line in recording.split_inclusive('\n') {
            stream.write_all(line.as_bytes())?;
            played += 1;
            let due = DURATION.mul_f64(f64::from(played) / total as f64);
            if let Some(early) = due.checked_sub(start.elapsed()) {
                thread::sleep(early);
            }
        }
    }
    Ok(())
}
