//! Random operations on [`OpenEvents`], compared with the obvious: a tree of
//! reference-counted events that own all they have.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use fantail_sdk::{BLOCK, FieldValue, Timestamp};

use super::{OpenContent, OpenError, OpenEvents, OpenLimits};
use crate::event::{
    Bytes, CategoryRegistry, Layer, Mark, Slot, SlotValue, Span, Symbol, Symbols, Wanted,
};

#[derive(Debug, Default)]
struct Model {
    parent: Option<Rc<RefCell<Model>>>,
    name: Option<String>,
    source: Option<(String, u32)>,
    fields: Vec<(String, String)>,
    categories: Vec<usize>,
}

/// What an operation says about an event, with what an [`OpenContent`] borrows.
#[derive(Debug, Default)]
struct Said {
    line: Vec<u8>,
    scratch: Vec<u8>,
    name_at: Option<Span>,
    source_at: Option<(Span, u32)>,
    name: Option<String>,
    source: Option<(String, u32)>,
    fields: Vec<(String, String)>,
    slots: Vec<Slot>,
    categories: Vec<usize>,
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % end
    }
}

fn said(random: &mut Random) -> Said {
    let mut said = Said::default();
    if random.below(3) == 0 {
        said.name = Some(format!("name{}", random.below(9)));
        said.source = Some(("x".repeat(random.below(99)), random.below(99) as u32));
    }
    for key in 0..8 {
        if random.below(3) == 0 {
            let value = format!("{}", random.below(9)).repeat(random.below(60));
            said.fields.push((format!("key{}", (key + random.below(3)) % 8), value));
        }
    }
    said.fields.sort();
    said.fields.dedup_by(|one, other| one.0 == other.0);
    said.categories = (0..random.below(3)).map(|_| random.below(5)).collect();
    let mut keep = |text: &str| {
        let in_scratch = random.below(2) == 0;
        let buffer = if in_scratch { &mut said.scratch } else { &mut said.line };
        let start = buffer.len();
        buffer.extend_from_slice(text.as_bytes());
        match in_scratch {
            true => Span::scratch(start, buffer.len()),
            false => Span::line(start, buffer.len()),
        }
    };
    for (key, value) in &said.fields {
        let value = SlotValue::Text(keep(value));
        let slot = Slot::new(keep(key), Symbol::NONE, Mark::of(key.as_bytes()), value);
        said.slots.push(slot);
    }
    said.name_at = said.name.as_deref().map(&mut keep);
    said.source_at = said.source.as_ref().map(|(file, line)| (keep(file), *line));
    said
}

impl Model {
    fn merge(&mut self, said: &Said) {
        self.name = said.name.clone().or(self.name.take());
        self.source = said.source.clone().or(self.source.take());
        self.categories.clone_from(&said.categories);
        for (key, value) in &said.fields {
            match self.fields.iter_mut().find(|(known, _)| known == key) {
                Some(field) => field.1.clone_from(value),
                None => self.fields.push((key.clone(), value.clone())),
            }
        }
    }
}

fn assert_same(open: &OpenEvents, peer_id: u64, model: &Rc<RefCell<Model>>) {
    let mut next = Some(model.clone());
    for event in open.chain(open.find(peer_id)) {
        let model = next.expect("as many parents");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(event.name().map(text), model.borrow().name);
        let source = event.source().map(|source| (text(source.file), source.line));
        assert_eq!(source, model.borrow().source);
        let fields: Vec<_> = event
            .layer()
            .fields()
            .map(|field| match field.value {
                FieldValue::Text(value) => (text(field.key), text(value)),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(fields, model.borrow().fields);
        assert_eq!(
            event.layer().categories().iter().map(|id| id.index()).collect::<Vec<_>>(),
            model.borrow().categories
        );
        next = model.borrow().parent.clone();
    }
    assert!(next.is_none(), "no more parents");
}

#[test]
fn open_events_behave_like_a_tree_of_counted_references() {
    let mut random = Random(7);
    let mut registry = CategoryRegistry::default();
    let ids: Vec<_> = (0..5_u8).map(|number| registry.register(&[number], None).unwrap()).collect();
    let mut open = OpenEvents::new(OpenLimits::default());
    let mut models: HashMap<u64, Rc<RefCell<Model>>> = HashMap::new();
    for _ in 0..20_000 {
        let said = said(&mut random);
        let categories: Vec<_> = said.categories.iter().map(|&number| ids[number]).collect();
        let content = OpenContent {
            name: said.name_at,
            log_type: None,
            source: said.source_at,
            created: Timestamp::from_micros(0),
            last_sent: None,
            own: Layer::new(Bytes::new(&said.line, &said.scratch), &said.slots, &categories),
        };
        let peer_id = random.below(60) as u64;
        match random.below(4) {
            0 | 1 => {
                let parent_id = random.below(60) as u64;
                let found = open.begin(peer_id, open.find(parent_id), &content);
                if models.contains_key(&peer_id) {
                    assert_eq!(found, Err(OpenError::DuplicateId));
                    continue;
                }
                if found == Err(OpenError::TooDeep) {
                    continue;
                }
                found.unwrap();
                let parent = models.get(&parent_id).cloned();
                let mut model = Model { parent, ..Model::default() };
                model.merge(&said);
                models.insert(peer_id, Rc::new(RefCell::new(model)));
            }
            2 => match open.find(peer_id) {
                Some(id) => {
                    open.update(id, &content).unwrap();
                    models[&peer_id].borrow_mut().merge(&said);
                }
                None => assert!(!models.contains_key(&peer_id)),
            },
            _ => assert_eq!(open.end(peer_id), models.remove(&peer_id).is_some()),
        }
        if let Some(model) = models.get(&peer_id) {
            assert_same(&open, peer_id, model);
        }
    }
    for (&peer_id, model) in &models {
        assert_same(&open, peer_id, model);
    }
    let mut kept = std::collections::HashSet::new();
    for model in models.values() {
        let mut next = Some(model.clone());
        while let Some(model) = next {
            kept.insert(Rc::as_ptr(&model));
            next = model.borrow().parent.clone();
        }
    }
    assert_eq!(open.len(), kept.len());
    for peer_id in models.keys() {
        assert!(open.end(*peer_id));
    }
    assert!(open.is_empty());
    assert_eq!(open.bytes(), 0);
}

#[test]
fn what_a_limit_refuses_changes_nothing() {
    let limits = OpenLimits { events_max: 2, depth_max: 1, fields_max: 2, bytes_max: 2_000 };
    let mut open = OpenEvents::new(limits);
    let bytes = vec![b'x'; 3_000];
    let content = |slots: &'static [Slot], bytes| OpenContent {
        name: None,
        log_type: None,
        source: None,
        created: Timestamp::from_micros(0),
        last_sent: None,
        own: Layer::new(Bytes::new(bytes, &[]), slots, &[]),
    };
    let field = |start| slot(start, SlotValue::Integer(1));
    let fields: &'static [Slot] = Vec::leak((0..4).map(field).collect());
    let long: &'static [Slot] = Vec::leak(vec![slot(0, SlotValue::Text(Span::line(0, 2_900)))]);
    let keys = &b"abcd"[..];
    assert_eq!(open.begin(1, None, &content(&fields[..3], keys)), Err(OpenError::TooMany));
    assert_eq!(open.begin(1, None, &content(long, &bytes)), Err(OpenError::TooMany));
    assert_eq!((open.len(), open.bytes(), open.find(1)), (0, 0, None));
    let one = open.begin(1, None, &content(&fields[..1], keys)).unwrap();
    let kept = open.bytes();
    assert_eq!(open.update(one, &content(long, &bytes)), Err(OpenError::TooMany));
    assert_eq!(open.update(one, &content(&fields[1..], keys)), Err(OpenError::TooMany));
    assert_eq!(open.bytes(), kept);
    assert_eq!(open.event(one).layer().fields().len(), 1);
    open.update(one, &content(&fields[..2], keys)).unwrap();
    open.update(one, &content(&fields[..2], keys)).unwrap();
    let two = open.begin(2, Some(one), &content(&[], keys)).unwrap();
    assert_eq!(open.begin(3, Some(two), &content(&[], keys)), Err(OpenError::TooDeep));
    assert_eq!(open.begin(3, None, &content(&[], keys)), Err(OpenError::TooMany));
    // An ended event that another one needs still counts.
    assert!(open.end(1));
    assert_eq!(open.begin(3, None, &content(&[], keys)), Err(OpenError::TooMany));
    assert!(open.end(2));
    assert!(open.begin(3, None, &content(&[], keys)).is_ok());
}

#[test]
fn open_fields_follow_the_table_of_symbols() {
    let table = |names: &[&str]| {
        let mut wanted = Wanted::all();
        names.iter().for_each(|name| wanted.field(name));
        Symbols::new(&wanted)
    };
    let content = |slots| OpenContent {
        name: None,
        log_type: None,
        source: None,
        created: Timestamp::from_micros(0),
        last_sent: None,
        own: Layer::new(Bytes::new(b"abcd", &[]), slots, &[]),
    };
    let slots = [0, 1, 2].map(|start| slot(start, SlotValue::Integer(start as i64)));
    let mut open = OpenEvents::new(OpenLimits::default());
    let parent = open.begin(1, None, &content(&slots[..2])).unwrap();
    let id = open.begin(2, Some(parent), &content(&slots[2..])).unwrap();
    // The parent has ended, and is looked at by its child still.
    assert!(open.end(1));
    let first = table(&["b", "d"]);
    let second = table(&["c", "b", "a"]);
    for symbols in [&first, &second] {
        open.resolve(symbols);
        for (place, name) in [&b"a"[..], b"b", b"c", b"d"].into_iter().enumerate() {
            let mut values = open.chain(Some(id)).map(|event| event.layer());
            let found = values.find_map(|layer| layer.value_of(symbols.find(name)));
            let known = symbols.find(name).is_some() && place < 3;
            assert_eq!(found, known.then_some(FieldValue::Integer(place as i64)), "{place}");
        }
    }
    // What an UPDATE adds has its symbol from the decoder, and the others keep theirs.
    let mut added = slot(3, SlotValue::Integer(7));
    added.symbol = first.find(b"d");
    open.resolve(&first);
    open.update(parent, &content(&[slot(1, SlotValue::Integer(8)), added])).unwrap();
    let layer = open.event(parent).layer();
    assert_eq!(layer.value_of(first.find(b"d")), Some(FieldValue::Integer(7)));
    assert_eq!(layer.value_of(first.find(b"b")), Some(FieldValue::Integer(8)));
    assert_eq!(layer.value_of(Symbol::NONE), None);
}

/// A slot whose name is the byte at `start`.
fn slot(start: usize, value: SlotValue) -> Slot {
    Slot::new(Span::line(start, start + 1), Symbol::NONE, Mark::NONE, value)
}

#[test]
fn memory_counts_until_it_is_given_back() {
    let said = OpenContent {
        name: None,
        log_type: None,
        source: None,
        created: Timestamp::from_micros(0),
        last_sent: None,
        own: Layer::new(Bytes::new(b"", &[]), &[], &[]),
    };
    let mut open = OpenEvents::new(OpenLimits::default());
    for peer_id in 1..=1_000 {
        open.begin(peer_id, None, &said).unwrap();
    }
    let full = open.bytes();
    assert!(full >= 1_000 * size_of::<super::Place>());
    // The places of those that have ended are still taken, and taken once; what was in them, the
    // block behind their texts, is not.
    (2..=1_000).for_each(|peer_id| assert!(open.end(peer_id)));
    assert_eq!((open.len(), open.bytes()), (1, full - 999 * BLOCK));
    (2..=1_000).for_each(|peer_id| assert!(open.begin(peer_id, None, &said).is_ok()));
    assert_eq!((open.len(), open.bytes()), (1_000, full));
    // With the last event they go.
    (1..=1_000).for_each(|peer_id| assert!(open.end(peer_id)));
    assert_eq!((open.len(), open.bytes()), (0, 0));
    let kept = open.places.capacity().max(open.free.capacity()).max(open.by_peer_id.capacity());
    assert!(kept < 100, "{kept}");
    open.begin(1, None, &said).unwrap();
}
