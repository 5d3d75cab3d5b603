mod basics;
mod side_by_side;
mod damage;
mod model;
mod on_disk;
mod power;

use super::{
    Amount, Appended, MAX_SIZE_LEAST, Opened, Options, Payload, Reader, Stop, Taken, Writer,
    open_in, simulated::Simulated,
};

/// Bytes that are different for each number and length, and at each place.
fn bytes(number: u64, length: usize) -> Vec<u8> {
    let mut state = (number ^ ((length as u64) << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    // As many as no file system has in a block, again and again.
    let pattern: Vec<u8> = (0..length.min(509)).map(|_| next()).collect();
    let mut bytes = pattern.repeat(length / 509 + 1);
    bytes.truncate(length);
    bytes
}

fn open(storage: &Simulated) -> Opened<Simulated> {
    open_in(storage.clone(), Options { max_size: MAX_SIZE_LEAST }).unwrap()
}

/// Appends payloads of these lengths, numbered as they should be.
fn append(writer: &mut Writer<Simulated>, lengths: &[usize]) -> Appended {
    let first = writer.next_sequence();
    let payloads: Vec<_> =
        (first..).zip(lengths).map(|(number, &length)| bytes(number, length)).collect();
    writer.append((first..).zip(&payloads).map(|(number, bytes)| Payload {
        bytes,
        label: if number.is_multiple_of(3) { b"third" } else { b"" },
        read_at: number * 7,
    }))
}

/// Reads everything, and requires that each payload is the one that was appended.
fn read_all(reader: &mut Reader<Simulated>) -> Vec<u64> {
    let (mut taken, mut sequences) = (Taken::default(), Vec::new());
    loop {
        reader.read(&mut taken, 7, 100_000).unwrap();
        if taken.is_empty() {
            break;
        }
        check_taken(&taken);
        sequences.extend_from_slice(taken.sequences());
    }
    assert!(sequences.is_sorted_by(|one, other| one < other), "{sequences:?}");
    sequences
}

fn check_taken(taken: &Taken) {
    for index in 0..taken.len() {
        let number = taken.sequences()[index];
        let payload = taken.payload(index);
        assert_eq!(payload, bytes(number, payload.len()), "{number}");
        assert_eq!(taken.label(index), if number.is_multiple_of(3) { &b"third"[..] } else { b"" });
        assert_eq!(taken.read_at()[index], number * 7);
    }
}

fn lengths(count: usize, length: usize) -> Vec<usize> {
    vec![length; count]
}
