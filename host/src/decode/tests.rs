//! What holds for every decoder: symbols, and that what was learned of a sender's
//! lines never changes what is decoded.

use std::sync::Arc;

use super::{Decoded, Decoder, Line, LineError, Protocol};
use crate::event::{Categories, Event, Layer, OpenLimits, Symbols, Wanted};

fn table(fields: &[&str], categories: &[&str]) -> Arc<Symbols> {
    let mut wanted = Wanted::all();
    fields.iter().for_each(|name| wanted.field(name));
    categories.iter().for_each(|name| wanted.category(name));
    Arc::new(Symbols::new(&wanted))
}

/// The symbols of the last line's fields by name, and its categories' bits.
fn symbols(decoder: &mut Decoder, line: &str, symbols: &Symbols) -> (Vec<String>, Vec<u64>) {
    let Ok(Decoded::Event(event)) = decoder.decode(line.as_bytes()) else { panic!("{line}") };
    let fields = event.layers().flat_map(|layer| layer.fields());
    let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = fields.filter(|field| field.symbol.is_some()).map(|field| {
        assert_eq!(symbols.name(field.symbol), field.key);
        assert_eq!(event.value_of(field.symbol), event.value(field.key));
        name(field.key)
    });
    let mut bits = vec![0; symbols.category_words()];
    event.category_bits(symbols, &mut bits);
    (fields.collect(), bits)
}

#[test]
fn every_decoder_notes_the_symbols_of_the_table_it_has() {
    let before = ["VERSION\tstats-client\t4\t0", "CATEGORY\tstorage", "CATEGORY\tmbox\tstorage"];
    let begin = "BEGIN\t7\t0\t0\t1\t0\tcmbox\tSuser\tx\tSother\ty";
    let lines = [
        (Protocol::StatsWriter, "EVENT\t0\t7\t0\t1\t0\tIn\t3\tSo\x01tther\tz"),
        (
            Protocol::Json,
            r#"{"categories":["mbox","storage"],
                "fields":{"n":3,"o\tther":"z","duration":0,"user":"x","other":"y"}}"#,
        ),
        (
            Protocol::TabText,
            "category:mbox\tcategory:storage\tfield:n=3\tfield:o\x01tther=z\t\
             field:duration=0\tfield:user=x\tfield:other=y",
        ),
    ];
    let first = table(&["n", "user", "o\tther"], &["storage"]);
    let second = table(&["other"], &["inbox", "mbox", "storage"]);
    for (protocol, line) in lines {
        let mut decoder = Decoder::new(protocol, OpenLimits::default(), &first);
        if protocol == Protocol::StatsWriter {
            for line in before.iter().chain([&begin]) {
                decoder.decode(line.as_bytes()).unwrap();
            }
        }
        let mut check = |table: &Arc<Symbols>, mut expected: Vec<&str>, bits: u64| {
            decoder.set_symbols(table);
            let (mut found, set) = symbols(&mut decoder, line, table);
            found.sort();
            found.dedup();
            expected.sort_unstable();
            assert_eq!(
                (found, set),
                (expected.into_iter().map(str::to_owned).collect(), vec![bits])
            );
        };
        check(&first, vec!["n", "o\tther", "duration", "user"], 0b1);
        check(&second, vec!["other", "duration"], 0b110);
        check(&first, vec!["n", "o\tther", "duration", "user"], 0b1);
    }
}

pub(super) struct Random(pub(super) u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % end
    }

    pub(super) fn one_of<T: Copy>(&mut self, choice: &[T]) -> T {
        choice[self.below(choice.len())]
    }
}

/// Names that are alike, or that a learned name could be mistaken for.
const NAMES: &[&str] = &[
    "user",
    "use",
    "users",
    "n",
    "duration",
    "net_in_bytes",
    "net_out_bytes",
    "=",
    "a=b",
    "\"",
    "",
    "a_name_that_is_longer_than_all_that_can_be_learned",
    "o\tther",
    "o\x01",
    "\u{e9}",
    " n",
    "n ",
];

/// A line with these names.
fn line(protocol: Protocol, names: &[&str], random: &mut Random) -> Vec<u8> {
    let escaped = |text: &str| {
        let mut escaped = Vec::new();
        fantail_sdk::tab_escape::escape_into(text.as_bytes(), &mut escaped);
        String::from_utf8(escaped).unwrap()
    };
    let mut parts = Vec::new();
    for name in names {
        let value = random.one_of(&["", "7", "-12", "text", "x\ty", "192.0.2.1", "a longer text"]);
        let number = random.below(2_000_000);
        parts.push(match protocol {
            Protocol::TabText => format!("field:{}={}", escaped(name), escaped(value)),
            Protocol::Json => {
                let value = match random.below(6) {
                    0 => number.to_string(),
                    1 => format!("{number}.000001"),
                    2 => format!("[{value:?},\"y\"]"),
                    3 => r#"{"a":[1,{"b":null}]}"#.to_owned(),
                    _ => format!("{value:?}"),
                };
                let colon = random.one_of(&[":", ":", ":", ": ", " :"]);
                format!("{}{colon}{value}", serde_json::Value::from(*name))
            }
            Protocol::StatsWriter => match random.below(8) {
                0 => format!("I{}\t{number}", escaped(name)),
                1 => format!("T{}\t{number}\t999999", escaped(name)),
                2 => format!("P{}\t192.0.2.{}", escaped(name), random.below(300)),
                3 => format!("L{}\t2\t{}\ty", escaped(name), escaped(value)),
                4 => format!("cmbox\tl{number}\t1\tS{}\t{}", escaped(name), escaped(value)),
                5 if random.below(8) == 0 => format!("nother\tI{}\t{number}", escaped(name)),
                _ => format!("S{}\t{}", escaped(name), escaped(value)),
            },
        });
    }
    let joined = parts.join(if protocol == Protocol::Json { "," } else { "\t" });
    match protocol {
        Protocol::TabText => format!("event:e\tcategory:mbox\t{joined}"),
        Protocol::Json => format!("{{\"event\":\"e\",\"fields\":{{{joined}}}}}"),
        Protocol::StatsWriter => {
            let (id, parent) = (random.below(3), random.below(3));
            let event = random.one_of(&["e", "imap_command_finished", "imap_command_started", ""]);
            match random.below(8) {
                0 => format!("BEGIN\t{id}\t{parent}\t0\t1\t0\tn{event}\t{joined}"),
                1 => format!("UPDATE\t{id}\t{parent}\t1\t0\t{joined}"),
                2 => format!("END\t{id}"),
                _ => format!(
                    "EVENT\t0\t{parent}\t0\t179522375{id}\t{parent}\tsa.c\t7\tn{event}\t{joined}"
                ),
            }
        }
    }
    .into_bytes()
}

/// A sender's lines: a few shapes again and again, some of them changed or spoilt.
fn lines(protocol: Protocol, random: &mut Random) -> Vec<Vec<u8>> {
    let mut shapes = Vec::new();
    for _ in 0..1 + random.below(6) {
        let mut names: Vec<&str> = NAMES.to_vec();
        for place in 0..names.len() {
            names.swap(place, random.below(NAMES.len()));
        }
        names.truncate(random.below(NAMES.len()));
        shapes.push(names);
    }
    let mut lines = Vec::new();
    for _ in 0..40 {
        let mut names = shapes[random.below(shapes.len())].clone();
        match random.below(8) {
            0 => names.insert(random.below(names.len() + 1), random.one_of(NAMES)),
            1 => names.truncate(random.below(names.len() + 1)),
            2 if !names.is_empty() => _ = names.remove(random.below(names.len())),
            _ => {}
        }
        let mut line = line(protocol, &names, random);
        match random.below(12) {
            0 => line.truncate(random.below(line.len())),
            1 => {
                let place = random.below(line.len());
                line[place] = random.one_of(b"\t\"=:x7\x01 ");
            }
            _ => {}
        }
        lines.push(line);
    }
    lines
}

/// The fields of one layer, in words.
fn fields(layer: Layer<'_>, wanted: &dyn Fn(&[u8]) -> bool) -> String {
    let fields = layer.fields().filter(|field| wanted(field.key));
    fields.map(|field| format!("{field:?}\n")).collect()
}

/// What came of a line, in words, with the wanted ones among its own fields.
fn outcome(decoded: &Result<Decoded<'_>, LineError>, wanted: &dyn Fn(&[u8]) -> bool) -> String {
    let event: &Event<'_> = match decoded {
        Ok(Decoded::Event(event)) => event,
        Ok(other) => return format!("{other:?}"),
        Err(error) => return format!("{:?} {error}", error.reason()),
    };
    let categories = match event.categories {
        Categories::Registered(_) => format!("{:?}", event.own.categories()),
        Categories::Named(bytes, names) => {
            format!("{:?}", names.iter().map(|&name| bytes.at(name)).collect::<Vec<_>>())
        }
    };
    let above: String = event.ancestors.layers().map(|layer| fields(layer, &|_| true)).collect();
    let own = fields(event.own, wanted);
    let Event { name, source, start_time, duration, parts, .. } = event;
    format!("{name:?} {source:?} {start_time:?} {duration} {parts:?} {categories}\n{own}{above}")
}

#[test]
fn what_was_learned_never_changes_an_event() {
    let some = {
        let mut wanted = Wanted::default();
        ["user", "n", "net_out_bytes", "o\tther", "="].iter().for_each(|name| wanted.field(name));
        Arc::new(Symbols::new(&wanted))
    };
    let all = table(&["users", "n"], &[]);
    let protocols = [Protocol::StatsWriter, Protocol::Json, Protocol::TabText];
    let (mut followed, mut compared) = (0, 0);
    for seed in 0..150 {
        let protocol = protocols[seed as usize % 3];
        let random = &mut Random(seed);
        let new = |symbols| Decoder::new(protocol, OpenLimits::default(), symbols);
        // Learning and not, for some fields and for all.
        let mut decoders =
            [new(&some), new(&some).without_shapes(), new(&all), new(&all).without_shapes()];
        if protocol == Protocol::StatsWriter {
            for decoder in &mut decoders {
                decoder.decode(b"VERSION\tstats-client\t4\t0").unwrap();
                decoder.decode(b"CATEGORY\tmbox").unwrap();
            }
        }
        for line in lines(protocol, random) {
            let every = &|_: &[u8]| true;
            let [learned, plain, learned_all, plain_all] = &mut decoders;
            let shown = line.escape_ascii().to_string();
            // Nor does what stands behind it.
            let behind: &[u8] =
                random.one_of(&[b"", b"\n", b"\nEVENT\t0", b"\tSuser\tx\x01", &[b'I'; 99]]);
            let text = [&line, behind].concat();
            let read = Line::first_of(&text, line.len());
            let decoded = plain.decode(&line);
            assert_eq!(outcome(&learned.decode(read), every), outcome(&decoded, every), "{shown}");
            let of_all = plain_all.decode(&line);
            let learned = outcome(&learned_all.decode(read), every);
            assert_eq!(learned, outcome(&of_all, every), "{shown}");
            followed += u32::from(learned_all.shapes().is_following());
            // Passing over what is not wanted changes nothing else.
            let is_begin = line.starts_with(b"BEGIN");
            if of_all.is_ok() && !is_begin {
                let is_wanted = |name: &[u8]| some.is_wanted(some.find(name));
                // Each table has its own symbols.
                let bare = |outcome: String| {
                    let mut parts = outcome.split("symbol: Symbol(");
                    let first = parts.next().unwrap_or_default().to_owned();
                    parts.fold(first, |all, part| all + part.trim_start_matches(char::is_numeric))
                };
                let of_all = outcome(&of_all, &is_wanted);
                assert_eq!(bare(outcome(&decoded, every)), bare(of_all), "{shown}");
                compared += 1;
            }
        }
    }
    assert!(followed > 900 && compared > 2500, "{followed} {compared}");
}

#[test]
fn a_shape_is_learned_at_once_and_known_from_then_on() {
    let lines = [
        (Protocol::Json, r#"{"fields":{"a":1,"b":"x","long_name_of_a_field":[],"d":2}}"#),
        (Protocol::TabText, "field:a=1\tfield:b=x\tfield:long_name_of_a_fiel=\tfield:d=2"),
        (
            Protocol::StatsWriter,
            "EVENT\t0\t0\t0\t1\t0\tIa\t1\tSb\tx\tLlong_name_of_a_field\t0\tTd\t1\t0",
        ),
    ];
    for (protocol, line) in lines {
        let mut decoder = Decoder::new(protocol, OpenLimits::default(), &Arc::default());
        if protocol == Protocol::StatsWriter {
            decoder.decode(b"VERSION\tstats-client\t4\t0").unwrap();
        }
        for expected in [false, true, true] {
            assert!(decoder.decode(line.as_bytes()).is_ok(), "{line}");
            assert_eq!(decoder.shapes().is_following(), expected, "{line}");
        }
        let mut plain = decoder.without_shapes();
        assert!(plain.decode(line.as_bytes()).is_ok() && !plain.shapes().is_following());
    }
}
