//! What peers can do to the memory and the time that statistics take.

use super::{count, of, plan, shown};
use crate::event::builder::{EventBuilder, EventChain};
use crate::event::{Bytes, Event, Layer, Mark, Slot, SlotValue, Span};
use crate::statistics::series::OVERFLOW;

fn user(number: u32) -> EventBuilder {
    EventBuilder::new().text("user", format!("u{number}")).integer("n", i64::from(number))
}

#[test]
fn what_is_beyond_the_bound_goes_to_the_overflow_series() {
    let statistics = of(plan(&["n"], "user", 2));
    count(&statistics, [1, 2, 3, 1, 4, 3, 2].map(user));
    let expected = [
        "m duration 7 0",
        "m n 7 16",
        "m_(overflow) duration 3 0",
        "m_(overflow) n 3 10",
        "m_u1 duration 2 0",
        "m_u1 n 2 2",
        "m_u2 duration 2 0",
        "m_u2 n 2 4",
    ];
    assert_eq!(shown(&statistics), expected);
    // Another counter finds the same series, and the same bound.
    count(&statistics, [5, 1].map(user));
    assert_eq!(
        shown(&statistics)[2..5],
        ["m_(overflow) duration 4 0", "m_(overflow) n 4 15", "m_u1 duration 3 0"]
    );
}

#[test]
fn every_level_counts_against_the_bound() {
    let statistics = of(plan(&[], "a b", 3));
    let event = |a, b| EventBuilder::new().text("a", a).text("b", b);
    let events = [("x", "1"), ("x", "2"), ("x", "3"), ("y", "1"), ("x", "2")];
    count(&statistics, events.map(|(a, b)| event(a, b)));
    let expected = [
        "m duration 5 0",
        "m_(overflow) duration 2 0",
        "m_x duration 4 0",
        "m_x_1 duration 1 0",
        "m_x_2 duration 2 0",
    ];
    assert_eq!(shown(&statistics), expected);
}

#[test]
fn any_number_of_users_makes_ten_thousand_series() {
    const USERS: u32 = 200_000;
    const SERIES_MAX: u32 = 10_000;
    let statistics = of(plan(&["n"], "user", SERIES_MAX as usize));
    let symbols = statistics.symbols();
    let slot = |name: &[u8], key, value| Slot::new(key, symbols.find(name), Mark::of(name), value);
    let chain = EventChain::new(EventBuilder::new(), &[]);
    let mut counter = statistics.counter(&symbols);
    for number in 0..USERS {
        let line = format!("user\tn\tu{number}");
        let slots = [
            slot(b"user", Span::line(0, 4), SlotValue::Text(Span::line(7, line.len()))),
            slot(b"n", Span::line(5, 6), SlotValue::Integer(i64::from(number))),
        ];
        let own = Layer::new(Bytes::new(line.as_bytes(), &[]), &slots, &[]);
        counter.count(0, &Event { own, ..chain.event() });
    }
    counter.publish();
    statistics.read(|view| {
        let metric = view.metric("m").unwrap();
        assert_eq!(metric.series().len(), SERIES_MAX as usize + 2);
        let overflow = metric.distribution(OVERFLOW, 1);
        assert_eq!(overflow.count(), u64::from(USERS - SERIES_MAX));
        let rest: i128 = (SERIES_MAX..USERS).map(i128::from).sum();
        assert_eq!((overflow.sum(), overflow.min()), (rest, i64::from(SERIES_MAX)));
        assert_eq!(metric.distribution(0, 0).count(), u64::from(USERS));
        assert!((2..SERIES_MAX + 2).all(|id| metric.distribution(id, 0).count() == 1));
    });
}

#[test]
fn long_values_make_series_of_their_own() {
    let long = |last: &str| EventBuilder::new().text("a", "x".repeat(5000) + last);
    let statistics = of(plan(&[], "a", 10));
    count(&statistics, [long("1"), long("2"), long("1")]);
    let name = format!("m_{}…", "x".repeat(255));
    let expected = [
        "m duration 3 0".to_owned(),
        format!("{name} duration 2 0"),
        format!("{name} duration 1 0"),
    ];
    assert_eq!(shown(&statistics), expected);
}

#[test]
fn an_event_is_counted_in_a_bounded_number_of_groups() {
    let elements: Vec<String> = (0..1000).map(|number| format!("{number:04}")).collect();
    let event = EventBuilder::new().list("a", &elements).list("b", &elements);
    let statistics = of(plan(&[], "a b", 1_000_000));
    count(&statistics, [event]);
    statistics.read(|view| {
        let metric = view.metric("m").unwrap();
        assert!(metric.series().len() <= 10_003, "{}", metric.series().len());
        let counts = (0..metric.series().len()).map(|id| metric.distribution(id as u32, 0).count());
        assert!(counts.clone().skip(2).all(|count| count <= 1));
        assert_eq!(counts.skip(1).sum::<u64>(), 10_000);
        assert_eq!(metric.distribution(OVERFLOW, 0).count(), 1);
    });
}

#[test]
fn labels_together_are_about_256_bytes() {
    let a_and_b = |a: usize, b: usize| {
        EventBuilder::new().text("a", "a".repeat(a)).text("b", "b".repeat(b)).text("c", "c")
    };
    let names = |event: EventBuilder| {
        let statistics = of(plan(&[], "a b c", 10));
        count(&statistics, [event]);
        let names = shown(&statistics).into_iter();
        names.map(|row| row.split(' ').next().unwrap().to_owned()).skip(1).collect::<Vec<_>>()
    };
    let (a, b) = ("a".repeat(255), "b".repeat(10));
    assert_eq!(names(a_and_b(255, 10)), [format!("m_{a}"), format!("m_{a}_…")]);
    assert_eq!(names(a_and_b(300, 10)), [format!("m_{a}…")]);
    assert_eq!(names(a_and_b(1, 10)), ["m_a".to_owned(), format!("m_a_{b}"), format!("m_a_{b}_c")]);
}
