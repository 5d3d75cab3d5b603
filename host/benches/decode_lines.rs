//! How long a line takes to become an event.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use divan::{Bencher, counter::BytesCount};
use fantail::decode::{LineScratch, json_lines, tab_text};

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

const JSON: &[u8] = br#"{"event":"imap_command_finished","hostname":"mx1.example.com","start_time":"2019-06-19T10:38:25.422744Z","end_time":"2019-06-19T10:38:32.250000Z","categories":["imap","service:imap"],"fields":{"user":"jeffpc@example.com","session":"xlBB1KqLz1isGwB+","service":"imap","mailbox":"INBOX","cmd_tag":5,"cmd_name":"SELECT","args":"INBOX","tagged_reply_state":"OK","tagged_reply":"OK [READ-WRITE] Done","last_run":"2019-06-19T10:38:25.422709Z","usecs":1953,"net_in":7,"net_out":331,"remote_ip":"192.0.2.1","duration":2068}}"#;

const TAB_TEXT: &[u8] = b"event:imap_command_finished\thostname:mx1.example.com\tstart_time:2019-06-19T10:38:25.422744Z\tend_time:2019-06-19T10:38:32.250000Z\tcategory:imap\tcategory:service:imap\tfield:user=jeffpc@example.com\tfield:session=xlBB1KqLz1isGwB+\tfield:service=imap\tfield:mailbox=INBOX\tfield:cmd_tag=5\tfield:cmd_name=SELECT\tfield:args=INBOX\tfield:tagged_reply_state=OK\tfield:tagged_reply=OK [READ-WRITE] Done\tfield:last_run=2019-06-19T10:38:25.422709Z\tfield:usecs=1953\tfield:net_in=7\tfield:net_out=331\tfield:remote_ip=192.0.2.1\tfield:duration=2068";

fn main() {
    divan::main();
}

#[divan::bench]
fn json(bencher: Bencher<'_, '_>) {
    let mut scratch = LineScratch::default();
    assert_eq!(json_lines::decode(JSON, &mut scratch).unwrap().own.fields().len(), 15);
    bencher.counter(BytesCount::new(JSON.len())).bench_local(|| {
        json_lines::decode(divan::black_box(JSON), &mut scratch).map(|event| event.duration)
    });
}

#[divan::bench]
fn tab_text_line(bencher: Bencher<'_, '_>) {
    let mut scratch = LineScratch::default();
    assert_eq!(tab_text::decode(TAB_TEXT, &mut scratch).unwrap().own.fields().len(), 15);
    bencher.counter(BytesCount::new(TAB_TEXT.len())).bench_local(|| {
        tab_text::decode(divan::black_box(TAB_TEXT), &mut scratch).map(|event| event.duration)
    });
}
