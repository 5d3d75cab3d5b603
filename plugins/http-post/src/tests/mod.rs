mod asking;
mod batching;
mod proxy;
mod server;
mod trust;

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use fantail_sdk::{
    DriverContext,
    runner::{DriverRunner, Sent, SentError, schema},
};
use serde_json::{Value, json};

use self::server::{Reply, Server, ok};
use crate::{HttpPost, Settings};

fn context() -> DriverContext {
    let context = json!({ "content_type": "text/plain", "user_agent": "Fantail/1.2" });
    serde_json::from_value(context).unwrap()
}

fn open_with(mut settings: Value, url: &str) -> DriverRunner {
    settings["http_post_url"] = url.into();
    DriverRunner::open_with::<HttpPost>(&settings, &context()).unwrap()
}

fn open(server: &Server) -> DriverRunner {
    open_with(json!({}), &server.url())
}

/// A driver that has time, for tests that are not about time.
fn open_patient(server: &Server) -> DriverRunner {
    open_with(json!({ "http_client_request_absolute_timeout": 10_000 }), &server.url())
}

/// The reason for which one payload was not delivered.
fn refusal(sent: Sent) -> String {
    assert_eq!((sent.delivered, sent.given_up), (vec![], vec![]));
    match sent.error {
        Some(SentError::Retry(reason, None)) => reason,
        other => panic!("{other:?}"),
    }
}

fn payloads(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("event {number:03}")).collect()
}

/// Sends as the host does, until nothing is left; the number of calls it took.
fn deliver_all(driver: &mut DriverRunner, payloads: &[String]) -> usize {
    let mut left = payloads.to_vec();
    for calls in 1..=100 {
        let sent = driver.send(&left);
        assert_eq!(sent.given_up, []);
        let mut index = 0..;
        left.retain(|_| !sent.delivered.contains(&index.next().unwrap()));
        assert_eq!(left.is_empty(), sent.error.is_none(), "{sent:?}");
        if left.is_empty() {
            return calls;
        }
    }
    panic!("{} payloads are still left", left.len());
}

#[test]
fn no_limit_is_the_longest() {
    let check = |written: u64, expected: u64| {
        let settings = json!({
            "http_post_url": "http://localhost/",
            "http_client_request_absolute_timeout": written,
            "http_client_request_timeout": written,
        });
        let settings: Settings = serde_json::from_value(settings).unwrap();
        settings.check().unwrap();
        let found = [settings.request_timeout(), settings.response_timeout()];
        assert_eq!(found, [Duration::from_millis(expected); 2]);
    };
    check(0, 3_600_000);
    check(1, 1);
    check(3_600_000, 3_600_000);
}

#[test]
fn settings_are_documented() {
    let schema = schema::<Settings>();
    assert_eq!(schema["required"], json!(["http_post_url"]));
    let check = |name: &str, default: Value, aliases: Value, global: Value| {
        let property = &schema["properties"][name];
        assert_eq!(property["default"], default, "{name}");
        assert_eq!(property["x-aliases"], aliases, "{name}");
        assert_eq!(property["x-global"], global, "{name}");
    };
    let url = json!(["event_exporter_http_post_url", "transport_args"]);
    check("http_post_url", Value::Null, url, Value::Null);
    let timeout = json!(["transport_timeout"]);
    check("http_client_request_absolute_timeout", json!(250), timeout, json!(true));
    check("http_client_max_parallel_connections", json!(4), Value::Null, json!(true));
    check("http_client_request_timeout", json!(60_000), Value::Null, json!(true));
    check("http_client_max_idle_time", json!(4_000), Value::Null, json!(true));
    check("http_client_request_max_attempts", json!(0), Value::Null, Value::Null);
    check("http_post_batch", json!("none"), Value::Null, Value::Null);
    check("http_post_headers", json!({}), Value::Null, Value::Null);
    check("ssl_client_ca_file", json!(""), Value::Null, json!(true));
    check("ssl_client_require_valid_cert", json!(true), Value::Null, json!(true));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let check = |mut settings: Value, expected: &str| {
        if settings.get("http_post_url").is_none() {
            settings["http_post_url"] = "http://localhost/".into();
        }
        let opened = DriverRunner::open::<HttpPost>(&settings);
        assert_eq!(opened.err().unwrap(), expected);
    };
    let url = |url: &str| json!({ "http_post_url": url });
    check(url(""), "http_post_url is not a URL: empty string");
    check(url("http://a b/"), "http_post_url is not a URL: invalid uri character");
    check(url("localhost/events"), "http_post_url is not a URL: invalid format");
    check(url("/events"), "http_post_url does not start with http:// or https://");
    check(url("ftp://localhost/"), "http_post_url has the scheme ftp, not http or https");
    check(url("http://:80/"), "http_post_url names no host");
    check(
        json!({ "http_client_request_absolute_timeout": u64::MAX }),
        "http_client_request_absolute_timeout must be 0 to 1 h",
    );
    check(
        json!({ "http_client_max_parallel_connections": 0 }),
        "http_client_max_parallel_connections must be 1 to 64",
    );
    check(
        json!({ "http_client_user_agent": "a\nb" }),
        "http_client_user_agent can't stand in an HTTP header",
    );
    let not_a_proxy = "http_client_proxy_url is not the URL of an HTTP proxy";
    check(json!({ "http_client_proxy_url": "socks5://localhost" }), not_a_proxy);
    check(json!({ "http_client_proxy_url": "//" }), not_a_proxy);
}

#[test]
fn each_payload_is_a_request_over_one_connection() {
    let server = Server::start(|_, _| ok());
    let url = format!("http://jo%40b:s:%65%FC@{}/a?b=%20c", server.address);
    let mut driver = open_with(json!({ "http_client_request_absolute_timeout": 10_000 }), &url);
    assert_eq!(driver.send::<&str>(&[]), Sent::whole(0));
    for payload in ["one", "", "three\n"] {
        assert_eq!(driver.send(&[payload]), Sent::whole(1));
    }
    let requests = server.requests();
    let bodies: Vec<_> = requests.iter().map(|request| request.body.as_str()).collect();
    assert_eq!(bodies, ["one", "", "three\n"]);
    for (request, length) in requests.iter().zip([3, 0, 6]) {
        let mut lines: Vec<_> = request.head.trim_end().lines().collect();
        assert_eq!(lines.remove(0), "POST /a?b=%20c HTTP/1.1");
        lines.sort_unstable();
        let expected = [
            "accept: */*".to_owned(),
            "authorization: Basic am9AYjpzOmX8".to_owned(),
            format!("content-length: {length}"),
            "content-type: text/plain".to_owned(),
            format!("host: {}", server.address),
            "user-agent: Fantail/1.2".to_owned(),
        ];
        assert_eq!(lines, expected);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn settings_take_the_place_of_the_hosts_words() {
    let server = Server::start(|_, _| ok());
    let settings = json!({
        "http_post_url": server.url(),
        "http_client_user_agent": "mine",
        "http_client_request_absolute_timeout": 10_000,
    });
    let mut driver = DriverRunner::open::<HttpPost>(&settings).unwrap();
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    let head = &server.requests()[0].head;
    assert!(head.contains("\r\nuser-agent: mine\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/octet-stream\r\n"), "{head}");
}

/// What loses 195 of 200 events elsewhere: the timeout is each request's own.
#[test]
fn a_slow_server_gets_every_event() {
    let server = Server::start(|_, _| Reply::Slow(Duration::from_millis(50)));
    let mut driver = open(&server);
    let start = Instant::now();
    let payloads = payloads(200);
    deliver_all(&mut driver, &payloads);
    let elapsed = start.elapsed();
    assert!((2..9).contains(&elapsed.as_secs()), "{elapsed:?}: four at a time");
    let mut bodies = server.bodies();
    bodies.dedup();
    assert_eq!(bodies, payloads);
    assert!((4..10).contains(&server.connections()), "used again and again");
}

#[test]
fn a_batch_that_takes_too_long_is_ended_early() {
    let server = Server::start(|_, _| Reply::Slow(Duration::from_millis(50)));
    let mut driver = open_with(
        json!({
            "http_client_max_parallel_connections": 1,
            "http_client_request_absolute_timeout": 10_000,
        }),
        &server.url(),
    );
    let payloads = payloads(200);
    let sent = driver.send(&payloads);
    let delivered = sent.delivered.len();
    assert!((10..101).contains(&delivered), "{delivered}");
    assert_eq!(sent.delivered, (0..delivered).collect::<Vec<_>>());
    let reason = format!("the server is slow: {delivered} of 200 payloads sent in 5 s");
    assert_eq!(sent.error, Some(SentError::Retry(reason, None)));
    assert_eq!(server.bodies(), payloads[..delivered]);
}

#[test]
fn what_failed_is_sent_again() {
    let server = Server::start(|number, _| match number {
        0..10 => Reply::Status("500 Internal Server Error", "", vec![]),
        _ => ok(),
    });
    let mut driver = open_patient(&server);
    assert_eq!(refusal(driver.send(&["one"])), "HTTP 500 Internal Server Error");
    let sent = driver.send(&payloads(100));
    assert_eq!(sent.delivered, [0; 0], "four failures in a row end a batch");
    let failed = server.requests().len();
    assert!((5..=8).contains(&failed), "{failed}");
    assert!(deliver_all(&mut driver, &payloads(100)) <= 3);
}

#[test]
fn one_payload_that_fails_delays_no_other() {
    let server = Server::start(|_, request| match request.body.as_str() {
        "event 000" => Reply::Status("500 Internal Server Error", "", vec![]),
        "event 001" => Reply::Status("422 Unprocessable Entity", "", vec![]),
        _ => ok(),
    });
    let sent = open_patient(&server).send(&payloads(50));
    assert_eq!(sent.delivered, (2..50).collect::<Vec<_>>());
    assert_eq!(sent.given_up, [(1, "HTTP 422 Unprocessable Entity".to_owned())]);
    let reason = "HTTP 500 Internal Server Error".to_owned();
    assert_eq!(sent.error, Some(SentError::Retry(reason, None)));
}

#[test]
fn the_server_can_ask_for_a_pause() {
    let server = Server::start(|number, _| match number {
        3 => Reply::Status("429 Too Many Requests", "Retry-After: 7\r\n", vec![]),
        _ => ok(),
    });
    let settings = json!({
        "http_client_max_parallel_connections": 1,
        "http_client_request_absolute_timeout": 10_000,
    });
    let sent = open_with(settings, &server.url()).send(&payloads(9));
    assert_eq!(sent.delivered, [0, 1, 2]);
    let reason = "HTTP 429 Too Many Requests".to_owned();
    assert_eq!(sent.error, Some(SentError::Retry(reason, Some(7000))));
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_broken_exchange_is_repeated() {
    let check = |raw: &'static str, expected: &str| {
        let server =
            Server::start(move |number, _| if number == 0 { Reply::Raw(raw) } else { ok() });
        let mut driver = open_patient(&server);
        let reason = refusal(driver.send(&["one"]));
        assert!(reason.starts_with(expected), "{raw:?}: {reason}");
        assert_eq!(driver.send(&["one"]), Sent::whole(1));
    };
    check("", "Peer disconnected");
    check("HTTP/1.1 200 OK\r\nContent-Le", "Peer disconnected");
    check("\0\u{1}\u{2}garbage\r\n\r\n", "the response is not HTTP: ");
    check("SSH-2.0-OpenSSH_9.6\r\n", "the response is not HTTP: ");
    check("HTTP/1.1 2000 OK\r\n\r\n", "the response is not HTTP: ");
}

#[test]
fn a_status_counts_even_if_the_body_breaks_off() {
    let server =
        Server::start(|_, _| Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"));
    let mut driver = open_patient(&server);
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    assert_eq!(driver.send(&["two"]), Sent::whole(1));
}

#[test]
fn a_long_body_is_not_read_to_its_end() {
    let server = Server::start(|_, _| Reply::Status("200 OK", "", vec![b'x'; 1 << 24]));
    let mut driver = open_patient(&server);
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    assert_eq!(driver.send(&["two"]), Sent::whole(1));
    assert_eq!(server.connections(), 2, "the connection is not used again");
}

#[test]
fn a_server_that_never_answers_delays_for_a_bounded_time() {
    let server = Server::start(|_, _| Reply::Never);
    let mut driver = open(&server);
    let start = Instant::now();
    assert_eq!(refusal(driver.send(&payloads(1000))), "no response within 250 ms");
    let elapsed = start.elapsed();
    assert!((250..5000).contains(&elapsed.as_millis()), "{elapsed:?}");
}

#[test]
fn a_server_that_is_not_there_is_waited_for_by_the_host() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let mut driver = open_with(json!({}), &url);
    assert_eq!(refusal(driver.send(&["one"])), "Connection refused (os error 111)");
}

#[test]
fn connections_that_the_server_closes_lose_nothing() {
    let server = Server::start(|_, _| Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let mut driver = open_patient(&server);
    let payloads = payloads(100);
    deliver_all(&mut driver, &payloads);
    let mut bodies = server.bodies();
    bodies.dedup();
    assert_eq!(bodies, payloads);
}

#[test]
fn reopening_connects_anew() {
    let server = Server::start(|_, _| ok());
    let mut driver = open_patient(&server);
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    assert_eq!(driver.reopen(), None);
    assert_eq!(driver.send(&["two"]), Sent::whole(1));
    assert_eq!(server.connections(), 2);
}

#[test]
fn names_are_looked_up() {
    let server = Server::start(|_, _| ok());
    let url = format!("http://localhost:{}/", server.address.port());
    let patient = json!({ "http_client_request_absolute_timeout": 10_000 });
    let mut driver = open_with(patient.clone(), &url);
    assert_eq!(deliver_all(&mut driver, &payloads(10)), 1);

    // Reserved, RFC 6761: nobody has it.
    let mut driver = open_with(patient, "http://nobody.invalid/");
    let reason = refusal(driver.send(&["one"]));
    assert!(reason.starts_with("failed to lookup address"), "{reason}");
}
