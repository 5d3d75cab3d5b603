//! HTTP requests: the codec never panics, never keeps more than its limits, and
//! reads the same whole and in pieces. (Which of several faults it names may depend
//! on how much it has seen.)

#![no_main]

use fantail::http::{Codec, Limits, Read};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { head: 1024, body: 1024 };

/// What is read when the bytes come in pieces of this size.
fn read(bytes: &[u8], piece: usize) -> (Vec<Read>, bool) {
    let mut codec = Codec::new(LIMITS);
    let (mut found, mut held) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        held.extend_from_slice(piece);
        loop {
            let (consumed, read) = codec.read(&held);
            held.drain(..consumed);
            match read {
                Read::More => break,
                Read::Refused(_) => return (found, true),
                Read::Request(ref request) => {
                    assert!(request.body.len() <= LIMITS.body);
                    assert!(!request.path().is_empty());
                    found.push(read);
                }
                Read::Continue => found.push(read),
            }
        }
        assert!(held.len() <= LIMITS.head);
    }
    (found, false)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece, bytes)) = bytes.split_first() else { return };
    let whole = read(bytes, bytes.len().max(1));
    let pieces = read(bytes, usize::from(piece % 16) + 1);
    assert_eq!(whole, pieces);
});
