//! A plugin seen through the runner: settings, outcomes, panics.

#![cfg(feature = "runner")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test's plugins panic on purpose")]

use std::time::Duration;

use fantail_sdk::{
    abi::FormatFailure,
    runner::{schema, DriverRunner, FormatRunner, Sent, SentError, TestEvent},
    Batch, Buffer, Driver, DriverContext, Event, FieldValue, Format, FormatContext, FormatError,
    LabelPart, Millis, NoSettings, PluginError, SendError,
};
use serde_json::json;

fantail_sdk::settings! {
    /// What the tests set.
    pub struct Settings {
        /// How the driver ends its call.
        outcome: String,
        /// Unused.
        #[serde(default = "pause")]
        #[allow(dead_code, reason = "stands in the schema")]
        pause: Millis,
    }
}

fn pause() -> Millis {
    Millis(250)
}

struct Scripted(String);

impl Driver for Scripted {
    type Settings = Settings;

    fn open(settings: Settings, _: &DriverContext) -> Result<Self, PluginError> {
        match settings.outcome.as_str() {
            "refuse" => Err(PluginError::new("no such outcome")),
            "panic on open" => panic!("opened {}", 7),
            _ => Ok(Scripted(settings.outcome)),
        }
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<(), SendError> {
        batch.delivered(0);
        match self.0.as_str() {
            "ok" => Ok(()),
            "one refused" => {
                batch.give_up(1, format!("{} bytes", batch.payload(1).len()));
                batch.give_up(1, "said once only");
                Ok(())
            }
            "retry" => Err(SendError::retry_after("busy", Duration::from_secs(3))),
            "stop" => Err(SendError::stop("gone")),
            _ => panic!("on purpose"),
        }
    }
}

#[test]
fn each_payload_has_its_outcome() {
    let check = |outcome: &str, delivered: &[usize], given_up: &[(usize, &str)], error| {
        let mut driver = DriverRunner::open::<Scripted>(&json!({ "outcome": outcome })).unwrap();
        let given_up = given_up.iter().map(|&(at, why)| (at, why.to_owned())).collect();
        let expected = Sent { delivered: delivered.to_vec(), given_up, error };
        assert_eq!(driver.send(&["a", "bc", ""]), expected, "{outcome}");
    };
    check("ok", &[0, 1, 2], &[], None);
    check("one refused", &[0, 2], &[(1, "2 bytes")], None);
    check("retry", &[0], &[], Some(SentError::Retry("busy".into(), Some(3000))));
    check("stop", &[0], &[], Some(SentError::Stop("gone".into())));
    check("panic", &[0], &[], Some(SentError::Panicked("panicked: on purpose".into())));
}

#[test]
fn settings_are_described_and_refused() {
    let error = |settings| DriverRunner::open::<Scripted>(&settings).err().unwrap();
    assert_eq!(error(json!({ "outcome": "refuse" })), "no such outcome");
    assert_eq!(error(json!({ "outcome": "panic on open" })), "panicked: opened 7");
    assert!(error(json!({})).contains("missing field `outcome`"));
    assert!(error(json!({ "outcome": "ok", "more": 1 })).contains("unknown field `more`"));

    let schema = schema::<Settings>();
    assert_eq!(schema["required"], json!(["outcome"]));
    assert_eq!(schema["properties"]["outcome"]["description"], "How the driver ends its call.");
    let pause = &schema["properties"]["pause"];
    assert_eq!((&pause["format"], &pause["default"]), (&json!("milliseconds"), &json!(250)));
}

struct Kinds;

impl Format for Kinds {
    type Settings = NoSettings;

    fn open(_: NoSettings, _: &FormatContext) -> Result<Self, PluginError> {
        Ok(Kinds)
    }

    fn format(&mut self, event: &Event<'_>, out: &mut Buffer<'_>) -> Result<(), FormatError> {
        out.extend(b"written before the error");
        match event.name() {
            Some(b"refuse") => return Err(FormatError::new("not this one")),
            Some(b"panic") => panic!("not this one either"),
            _ => out.truncate(0),
        }
        for field in event.fields() {
            let kind = match field.value() {
                FieldValue::Text(_) => b't',
                FieldValue::Integer(_) => b'i',
                FieldValue::Timestamp(_) => b'T',
                FieldValue::Ip(_) => b'a',
                FieldValue::List(list) => b'0' + u8::try_from(list.iter().count()).unwrap(),
                _ => b'?',
            };
            out.push(kind);
        }
        Ok(())
    }
}

#[test]
fn a_format_sees_every_kind_and_fails_cleanly() {
    let mut format = FormatRunner::open::<Kinds>(&json!({})).unwrap();
    let event = TestEvent::new()
        .text("text", "x")
        .integer("integer", -1)
        .timestamp("time", 0)
        .ip("ip", "::1")
        .list("list", &["a", "b"])
        .list::<&str>("empty", &[])
        .json("json", "1.5")
        .unknown_kind("later", "x");
    assert_eq!(format.format(&event).unwrap(), b"tiTa20?t");
    let failure = format.format(&TestEvent::new().name("refuse")).unwrap_err();
    assert_eq!(failure, FormatFailure::Refused("not this one".into()));
    let failure = format.format(&TestEvent::new().name("panic")).unwrap_err();
    assert_eq!(failure, FormatFailure::Panicked("panicked: not this one either".into()));
}

/// Takes only what its label says is meant for it.
struct Choosy;

impl Driver for Choosy {
    type Settings = NoSettings;

    fn open(_: NoSettings, _: &DriverContext) -> Result<Self, PluginError> {
        Ok(Choosy)
    }

    fn wants(&self) -> Vec<LabelPart> {
        vec![LabelPart::Event, LabelPart::Field("to".into())]
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<(), SendError> {
        for index in 0..batch.len() {
            let label = batch.label(index);
            assert_eq!((label.len(), label.iter().count(), label.get(2)), (2, 2, None));
            match label.get(1).as_deref() {
                Some(b"me\t") => batch.delivered(index),
                other => batch.give_up(index, format!("for {:?}", other.unwrap().escape_ascii())),
            }
        }
        Ok(())
    }
}

#[test]
fn a_driver_learns_what_it_wants() {
    let mut driver = DriverRunner::open::<Choosy>(&json!({})).unwrap();
    assert_eq!(driver.wants(), [LabelPart::Event, LabelPart::Field("to".into())]);
    let payloads = [("one", ["e", "me\t"]), ("", ["", "me\t"]), ("three", ["e\0", "you"])];
    let sent = driver.send_labelled(&payloads);
    assert_eq!((sent.delivered.as_slice(), sent.given_up.len()), (&[0, 1][..], 1));
    assert_eq!(sent.given_up[0].0, 2);
    assert_eq!(driver.send(&["four"]).given_up.len(), 1, "without values they are empty");

    let driver = DriverRunner::open::<Scripted>(&json!({ "outcome": "ok" })).unwrap();
    assert_eq!(driver.wants(), []);
}
