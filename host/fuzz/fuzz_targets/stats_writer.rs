//! Any lines either are decoded, into events that can be flattened, or are
//! errors at a place within them that change nothing; and what is kept of them
//! stays within the limits.

#![no_main]

use fantail::decode::{Decoded, Line, StatsWriter};
use fantail::event::{CategoryId, Export, Flattener, OpenLimits, Parts};
use fantail_sdk::{Timestamp, abi::value_kind};
use libfuzzer_sys::fuzz_target;

const LIMITS: OpenLimits =
    OpenLimits { events_max: 20, depth_max: 5, fields_max: 50, bytes_max: 20_000 };

const START: [&[u8]; 3] = [b"VERSION\tstats-client\t4\t0", b"CATEGORY\ta", b"CATEGORY\tb\ta"];

fuzz_target!(|bytes: &[u8]| {
    let mut writer = StatsWriter::new(LIMITS, Default::default());
    let mut flattener = Flattener::default();
    let all = Export { include: Parts::ALL, fields: Vec::new() };
    let some = Export { include: Parts::ALL, fields: vec![b"a".as_slice().into()] };
    for line in START {
        assert!(writer.decode(line).is_ok());
    }
    let mut rest = bytes;
    for line in bytes.split(|&byte| byte == b'\n') {
        let read = Line::first_of(rest, line.len());
        rest = rest.get(line.len() + 1..).unwrap_or_default();
        // An EVENT changes nothing, so it must be the same the second time, when it
        // follows what was learned the first time, and something stands behind it.
        if line.starts_with(b"EVENT") {
            let mut shown = |line: Line<'_>| match writer.decode(line) {
                Ok(Decoded::Event(event)) => {
                    let fields = event.own.fields().map(|field| format!("{field:?}"));
                    Ok((event.duration, event.own.categories().to_vec(), fields.collect()))
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err(error),
            };
            let first: Result<(i64, Vec<CategoryId>, Vec<String>), _> = shown(line.into());
            assert_eq!(first, shown(read));
        }
        let before = (writer.open_events().len(), writer.open_events().bytes());
        let rejected = match writer.decode(read) {
            Ok(Decoded::Event(event)) => {
                for export in [&all, &some] {
                    flattener.with_raw(&event, export, b"host", Timestamp::from_micros(0), check);
                }
                false
            }
            Ok(_) => false,
            Err(error) => {
                assert!((1..=line.len() + 1).contains(&error.column()), "{error:?}");
                true
            }
        };
        let open = writer.open_events();
        assert!(!rejected || (open.len(), open.bytes()) == before);
        assert!(open.len() <= LIMITS.events_max && open.bytes() <= LIMITS.bytes_max);
    }
});

/// Each key is there once, and a list has as many elements as it says.
fn check(raw: &fantail_sdk::abi::RawEvent<'_>) {
    let mut keys: Vec<&[u8]> = raw.fields.iter().map(|field| field.key()).collect();
    keys.sort_unstable();
    assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
    for field in raw.fields.iter().filter(|field| field.kind == value_kind::LIST) {
        let text = field.text();
        let tabs = text.iter().filter(|&&byte| byte == b'\t').count();
        let count = if text.is_empty() { field.number.min(1) } else { tabs as i64 + 1 };
        assert_eq!(field.number, count);
    }
}
