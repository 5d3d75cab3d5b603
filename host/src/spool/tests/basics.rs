//! What a spool promises, one promise at a time.

use super::*;
use crate::spool::simulated::Faults;

#[test]
fn payloads_come_back_in_order_after_they_are_published() {
    let storage = Simulated::new();
    let Opened { mut writer, mut reader, queued, findings, identity } = open(&storage);
    assert_eq!((queued, findings.len()), (Amount::default(), 0));
    let appended = append(&mut writer, &[10, 0, 30]);
    assert_eq!(appended.sequences, 1..4);
    assert!(appended.stop.is_none());
    assert!(read_all(&mut reader).is_empty());
    writer.publish();
    assert_eq!(read_all(&mut reader), [1, 2, 3]);
    append(&mut writer, &[5]);
    writer.sync().unwrap();
    assert_eq!(read_all(&mut reader), [4]);
    assert_eq!(reader.queued(), Amount { payloads: 4, bytes: 45 });
    let (made, result) = reader.acknowledge(2..=3);
    result.unwrap();
    assert_eq!((made.payloads, made.bytes), (2, 30));
    // Twice is once; what wasn't read can't be acknowledged.
    assert_eq!(reader.acknowledge(3..=3).0.payloads, 0);
    assert_eq!(reader.acknowledge(100..=1000).0.payloads, 0);
    reader.rewind();
    assert_eq!(read_all(&mut reader), [1, 4]);
    drop((writer, reader));

    let mut again = open(&storage);
    assert_eq!(again.identity, identity);
    assert_eq!(again.queued, Amount { payloads: 2, bytes: 15 });
    assert_eq!(read_all(&mut again.reader), [1, 4]);
    assert_eq!(again.reader.acknowledge(0..=u64::MAX).0.bytes, 15);
    assert_eq!(again.reader.queued(), Amount::default());
    assert_eq!(again.writer.next_sequence(), 5);
}

#[test]
fn it_never_takes_more_than_its_maximum_and_goes_on_when_there_is_room() {
    let storage = Simulated::new();
    let Opened { mut writer, mut reader, .. } = open(&storage);
    let appended = append(&mut writer, &lengths(2000, 1000));
    assert!(matches!(appended.stop, Some(Stop::Full)), "{appended:?}");
    let count = appended.sequences.end - 1;
    assert!(count > 900, "{count}");
    assert!(storage.used() <= MAX_SIZE_LEAST);
    // Again and again nothing.
    assert_eq!(append(&mut writer, &[1000]).sequences.end, count + 1);
    writer.sync().unwrap();
    assert_eq!(read_all(&mut reader).len() as u64, count);
    reader.acknowledge(1..=count / 2).1.unwrap();
    assert!(append(&mut writer, &lengths(300, 1000)).stop.is_none());
    assert!(storage.used() <= MAX_SIZE_LEAST);
    writer.sync().unwrap();
    assert_eq!(read_all(&mut reader).len(), 300);
    reader.acknowledge(1..=u64::MAX).1.unwrap();
    // Only the last segment is left.
    assert!(storage.used() < MAX_SIZE_LEAST / 4, "{}", storage.used());
}

#[test]
fn a_payload_may_be_larger_than_a_segment_but_not_than_the_spool() {
    let storage = Simulated::new();
    let Opened { mut writer, mut reader, .. } = open(&storage);
    let appended = append(&mut writer, &[10, 400_000, 10, 2 << 20]);
    assert_eq!(appended.sequences, 1..4);
    assert!(matches!(appended.stop, Some(Stop::TooLarge)));
    writer.sync().unwrap();
    assert_eq!(read_all(&mut reader), [1, 2, 3]);
    // One that needs everything gets it, once all else is acknowledged.
    let large = 1_000_000;
    assert!(matches!(append(&mut writer, &[large]).stop, Some(Stop::Full)));
    reader.acknowledge(1..=3).1.unwrap();
    assert!(append(&mut writer, &[large]).stop.is_none());
    writer.sync().unwrap();
    assert!(storage.used() <= MAX_SIZE_LEAST);
    assert_eq!(read_all(&mut reader), [4]);
}

#[test]
fn the_oldest_can_be_discarded() {
    let storage = Simulated::new();
    let Opened { mut writer, mut reader, .. } = open(&storage);
    assert_eq!(writer.discard_oldest().unwrap(), Amount::default());
    let count = append(&mut writer, &lengths(2000, 1000)).sequences.end - 1;
    writer.sync().unwrap();
    let mut taken = Taken::default();
    reader.read(&mut taken, 3, usize::MAX).unwrap();
    let discarded = writer.discard_oldest().unwrap();
    assert!((100..200).contains(&discarded.payloads), "{discarded:?}");
    assert_eq!(discarded.bytes, discarded.payloads * 1000);
    assert_eq!(reader.queued().payloads, count - discarded.payloads);
    // What was read of it and is acknowledged now has been counted.
    assert_eq!(reader.acknowledge(1..=3).0.payloads, 0);
    assert!(append(&mut writer, &lengths(50, 1000)).stop.is_none());
    writer.sync().unwrap();
    let read = read_all(&mut reader);
    assert_eq!(read.first(), Some(&(discarded.payloads + 1)));
    assert_eq!(read.last(), Some(&(count + 50)));
    // Until nothing is left: the last segment, too.
    while writer.discard_oldest().unwrap().payloads > 0 {}
    assert_eq!(reader.queued(), Amount::default());
    assert_eq!(append(&mut writer, &[1]).sequences.start, count + 51);
    writer.sync().unwrap();
    assert_eq!(read_all(&mut reader), [count + 51]);
}

#[test]
fn a_full_disk_costs_nothing_that_was_appended() {
    let storage = Simulated::new();
    let Opened { mut writer, mut reader, .. } = open(&storage);
    append(&mut writer, &[1000]);
    // In the middle of the third.
    let room = Some(storage.used() + 2500);
    storage.set_faults(Faults { room, ..Faults::default() });
    let appended = append(&mut writer, &lengths(5, 1000));
    assert_eq!(appended.sequences, 2..4);
    assert!(matches!(appended.stop, Some(Stop::Failed(_))));
    storage.set_faults(Faults::default());
    assert_eq!(append(&mut writer, &[7, 8]).sequences, 4..6);
    writer.sync().unwrap();
    assert_eq!(read_all(&mut reader), [1, 2, 3, 4, 5]);
    drop((writer, reader));
    let mut again = open(&storage);
    assert_eq!(again.findings, []);
    assert_eq!(read_all(&mut again.reader), [1, 2, 3, 4, 5]);
}

/// A disk that one segment fills: what is acknowledged of it must make room, or nothing would
/// ever be appended again.
#[test]
fn a_full_disk_is_given_back_what_is_acknowledged() {
    let storage = Simulated::new();
    let Opened { mut writer, mut reader, .. } = open(&storage);
    storage.set_faults(Faults { room: Some(storage.used() + 20_000), ..Faults::default() });
    let mut last = 0;
    for round in 0..5 {
        let appended = append(&mut writer, &lengths(100, 1000));
        assert!(matches!(appended.stop, Some(Stop::Failed(_))), "round {round}");
        // Not before all is acknowledged.
        assert!(append(&mut writer, &[1000]).sequences.is_empty());
        writer.sync().unwrap();
        let read = read_all(&mut reader);
        assert!(read.len() > 10 && read[0] > last, "round {round}: {read:?}");
        last = read[read.len() - 1];
        reader.acknowledge(0..=last).1.unwrap();
    }
    drop((writer, reader));
    storage.set_faults(Faults::default());
    let Opened { mut writer, mut reader, .. } = open(&storage);
    assert!(append(&mut writer, &[10]).sequences.start > last);
    writer.sync().unwrap();
    assert_eq!(read_all(&mut reader).len(), 1);
}

#[test]
fn what_a_failed_sync_left_unknown_is_written_again() {
    for failing_syncs in 1..6 {
        let storage = Simulated::new();
        let Opened { mut writer, mut reader, .. } = open(&storage);
        append(&mut writer, &[100, 100]);
        writer.sync().unwrap();
        append(&mut writer, &[100, 100]);
        // The reader may be in the middle of it.
        writer.publish();
        let mut taken = Taken::default();
        reader.read(&mut taken, 3, 1000).unwrap();
        storage.set_faults(Faults { failing_syncs, ..Faults::default() });
        while writer.sync().is_err() {}
        assert!(writer.failed_syncs() > 0);
        assert_eq!(append(&mut writer, &[100]).sequences, 5..6);
        writer.sync().unwrap();
        assert_eq!(read_all(&mut reader), [4, 5]);
        // Nothing that was not synced is left.
        drop((writer, reader));
        let left = storage.after_power_loss(|| false);
        let mut again = open(&left);
        assert_eq!(again.queued, Amount { payloads: 5, bytes: 500 });
        assert_eq!(read_all(&mut again.reader), [1, 2, 3, 4, 5]);
        assert_eq!(again.reader.take_findings().0, []);
    }
}

/// It may go on for days, with an attempt twice a second.
#[test]
fn a_disk_that_takes_only_headers_collects_no_segments() {
    for (before, is_acknowledged, is_read) in
        [(0, false, false), (2, false, false), (2, true, false), (2, false, true), (0, false, true)]
    {
        let storage = Simulated::new();
        let Opened { mut writer, mut reader, .. } = open(&storage);
        append(&mut writer, &lengths(before, 100));
        writer.sync().unwrap();
        let mut read = read_all(&mut reader);
        if is_acknowledged {
            reader.acknowledge(0..=u64::MAX).1.unwrap();
        }
        append(&mut writer, &[100, 100]);
        let sync_max = Some(84);
        storage.set_faults(Faults { sync_max, ..Faults::default() });
        for _ in 0..50 {
            assert!(writer.sync().is_err());
            append(&mut writer, &[100]);
            if is_read {
                writer.publish();
                read.extend(read_all(&mut reader));
            }
        }
        let names = storage.names();
        assert!(names.len() <= 4, "{names:?}");
        storage.set_faults(Faults::default());
        writer.sync().unwrap();
        let end = writer.next_sequence();
        read.extend(read_all(&mut reader));
        assert_eq!(read, (1..end).collect::<Vec<_>>());
        assert_eq!(reader.lost(), Amount::default());
        drop((writer, reader));
        let left = storage.after_power_loss(|| false);
        let mut again = open(&left);
        assert_eq!(again.findings, []);
        let first = if is_acknowledged { 3 } else { 1 };
        assert_eq!(read_all(&mut again.reader), (first..end).collect::<Vec<_>>());
    }
}

#[test]
fn scattered_acknowledgements_are_all_remembered() {
    let storage = Simulated::new();
    let Opened { mut writer, mut reader, .. } = open(&storage);
    let count = 10_000;
    append(&mut writer, &lengths(count as usize, 1));
    writer.sync().unwrap();
    assert_eq!(read_all(&mut reader).len() as u64, count);
    for number in (2..=count).step_by(2) {
        assert_eq!(reader.acknowledge(number..=number).0.payloads, 1);
    }
    assert_eq!(reader.queued().payloads, count / 2);
    // Nobody acknowledges a payload twice, and nothing of them is left.
    for number in (1..=count).step_by(2) {
        assert_eq!(reader.acknowledge(number..=number).0.payloads, 1);
    }
    assert_eq!(reader.queued(), Amount::default());
}

#[test]
fn opening_reads_one_segment_and_the_headers_of_the_others() {
    let storage = Simulated::new();
    let Opened { mut writer, mut reader, .. } = open(&storage);
    while append(&mut writer, &lengths(100, 1000)).stop.is_none() {}
    drop(writer);
    let mut taken = Taken::default();
    reader.read(&mut taken, 10, 100_000).unwrap();
    reader.acknowledge(3..=4).1.unwrap();
    let queued = reader.queued();
    drop(reader);
    for _ in 0..2 {
        let before = storage.bytes_read();
        let again = open(&storage);
        let read = storage.bytes_read() - before;
        assert!(read < MAX_SIZE_LEAST / 7, "{read}");
        assert_eq!(again.queued, queued);
        // As after a crash.
        std::mem::forget(again);
    }
}

#[test]
fn a_batch_is_appended_with_its_labels() {
    let mut batch = crate::queue::Batch::default();
    for (payload, label) in [("one", "1"), ("three", "3")] {
        let appended: Result<(), ()> = batch.append(|bytes| {
            bytes.extend_from_slice(payload.as_bytes());
            Ok(())
        });
        appended.unwrap();
        batch.append_label(1, |bytes| bytes.extend_from_slice(label.as_bytes()));
    }
    let Opened { mut writer, mut reader, .. } = open(&Simulated::new());
    assert_eq!(writer.append(Payload::of(&batch, 9)).sequences, 1..3);
    writer.sync().unwrap();
    let mut taken = Taken::default();
    reader.read(&mut taken, 10, 1000).unwrap();
    assert_eq!((taken.bytes(), taken.batch().ends()), (batch.bytes(), batch.ends()));
    assert_eq!((taken.label(0), taken.label(1)), (&b"1"[..], &b"3"[..]));
    assert_eq!(taken.read_at(), [9, 9]);
}
