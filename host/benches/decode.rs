//! What it costs to decode one EVENT, and to flatten it for a format.

use divan::{Bencher, black_box};
use fantail::decode::{Decoded, StatsWriter};
use fantail::event::{Export, Flattener, Parts};
use fantail_sdk::Timestamp;

// Shows the allocations beside the times: there should be none for an EVENT.
#[global_allocator]
static ALLOC: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// What an imap process has open when it sends the event; the last is its parent.
const OPEN: [&str; 7] = [
    "VERSION\tstats-client\t4\t0",
    "CATEGORY\timap",
    "CATEGORY\tservice:imap",
    "CATEGORY\tstorage",
    "BEGIN\t1\t0\t0\t1795223758\t188748\tsmain.c\t251\tcservice:imap",
    "BEGIN\t2\t1\t0\t1795223758\t188748\tsmail-storage-service.c\t1305\tcstorage\t\
     Suser\tu004@example.com\tSservice\timap\tSsession\tmfFlGr9gtNZ/AAAB\t\
     Plocal_ip\t127.0.0.1\tPremote_ip\t127.0.0.1",
    "BEGIN\t3\t2\t0\t1795223758\t188750\tsimap-client.c\t129\tcimap\tSuser\tu004@example.com",
];

/// An EVENT of some 450 bytes with 15 fields.
fn line(parent: u64) -> String {
    format!(
        "EVENT\t0\t{parent}\t0\t1795223758\t191880\tsimap-client.c\t1068\tl1795223758\t193337\t\
         nimap_command_finished\tcimap\tcservice:imap\tScmd_name\tSELECT\tScmd_input_name\tSELECT\t\
         Scmd_args\tINBOX\tScmd_human_args\tINBOX\tStagged_reply_state\tOK\t\
         Stagged_reply\tOK [READ-WRITE] Select completed\tTlast_run_time\t1795223758\t191396\t\
         Irunning_usecs\t1447\tIlock_wait_usecs\t154\tInet_in_bytes\t5\tInet_out_bytes\t311\t\
         Scmd_tag\tILDO3\tLreason_code\t1\timap:cmd_select\tSmailbox\tINBOX\t\
         Premote_ip\t127.0.0.1"
    )
}

fn writer() -> StatsWriter {
    let mut writer = StatsWriter::default();
    for line in OPEN {
        writer.decode(line.as_bytes()).expect("the lines are good");
    }
    writer
}

#[divan::bench(args = [0, 3])]
fn decode_event(bencher: Bencher<'_, '_>, parent: u64) {
    let (line, mut writer) = (line(parent), writer());
    assert!((430..470).contains(&line.len()), "{}", line.len());
    bencher.bench_local(|| match writer.decode(black_box(line.as_bytes())) {
        Ok(Decoded::Event(event)) => black_box(event.duration),
        other => unreachable!("{other:?}"),
    });
}

#[divan::bench]
fn begin_update_end(bencher: Bencher<'_, '_>) {
    let lines = [
        "BEGIN\t9\t3\t0\t1795223758\t188748\tsclient.c\t7\tcimap\tScmd_name\tSELECT\tSmailbox\tINBOX",
        "UPDATE\t9\t3\t1795223758\t188748\tsclient.c\t7\tcimap\tScmd_name\tSELECT\tInumber\t1",
        "END\t9",
    ];
    let mut writer = writer();
    bencher.bench_local(|| {
        for line in black_box(lines) {
            black_box(writer.decode(line.as_bytes()).is_ok());
        }
    });
}

#[divan::bench(args = ["all fields, no parent", "all fields", "5 fields", "no fields"])]
fn flatten(bencher: Bencher<'_, '_>, export: &str) {
    let mut writer = writer();
    let line = line(if export.ends_with("no parent") { 0 } else { 3 });
    let Ok(Decoded::Event(event)) = writer.decode(line.as_bytes()) else { unreachable!() };
    let fields = ["user", "cmd_name", "mailbox", "duration", "reason_code"];
    let export = Export {
        include: if export == "no fields" { Parts::NAME } else { Parts::ALL },
        fields: match export {
            "5 fields" => fields.iter().map(|field| field.as_bytes().into()).collect(),
            _ => Vec::new(),
        },
    };
    let mut flattener = Flattener::default();
    let now = Timestamp::from_micros(0);
    bencher.bench_local(|| {
        flattener.with_raw(black_box(&event), &export, b"vm", now, |raw| raw.fields.len())
    });
}
