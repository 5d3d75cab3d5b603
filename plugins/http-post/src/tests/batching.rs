//! Many payloads in a request, and what becomes of them.

use fantail_sdk::DriverContext;

use super::*;

fn json_context() -> DriverContext {
    serde_json::from_value(json!({ "content_type": "application/json" })).unwrap()
}

fn open(mut settings: Value, server: &Server) -> DriverRunner {
    settings["http_post_url"] = server.url().into();
    settings["http_client_request_absolute_timeout"] = 10_000.into();
    DriverRunner::open_with::<HttpPost>(&settings, &json_context()).unwrap()
}

fn ndjson(server: &Server) -> DriverRunner {
    open(json!({ "http_post_batch": "ndjson" }), server)
}

/// Sends as the host does, `calls` times at most: what was delivered, and what given up.
fn send(driver: &mut DriverRunner, payloads: &[String], calls: usize) -> (usize, Vec<String>) {
    let mut left = payloads.to_vec();
    let mut given_up = Vec::new();
    let mut delivered = 0;
    for _ in 0..calls {
        let sent = driver.send_again(&left);
        let ended: Vec<usize> = sent.given_up.iter().map(|(index, _)| *index).collect();
        delivered += sent.delivered.len();
        given_up.extend(sent.given_up.into_iter().map(|(at, why)| format!("{}: {why}", left[at])));
        let mut index = 0..;
        left.retain(|_| {
            let index = index.next().unwrap();
            !sent.delivered.contains(&index) && !ended.contains(&index)
        });
        if left.is_empty() {
            assert_eq!(sent.error, None);
            break;
        }
    }
    assert_eq!(left.len() + delivered + given_up.len(), payloads.len());
    (delivered, given_up)
}

#[test]
fn a_request_carries_a_batch() {
    let check = |batch: &str, text: bool, expected: (&str, &str)| {
        let server = Server::start(|_, _| ok());
        let settings = json!({
            "http_post_batch": batch,
            "http_client_request_absolute_timeout": 10_000,
            "http_post_url": server.url(),
        });
        let context = if text { context() } else { json_context() };
        let mut driver = DriverRunner::open_with::<HttpPost>(&settings, &context).unwrap();
        assert_eq!(driver.send(&["1", "\"b\"", "[]"]), Sent::whole(3));
        let requests = server.requests();
        let found = (requests[0].header("content-type").unwrap(), requests[0].body.as_str());
        assert_eq!((found, requests.len()), (expected, 1));
    };
    check("ndjson", false, ("application/x-ndjson", "1\n\"b\"\n[]\n"));
    check("json-array", false, ("application/json", "[1,\"b\",[]]"));
    check("lines", false, ("application/json", "1\n\"b\"\n[]\n"));
    check("lines", true, ("text/plain", "1\n\"b\"\n[]\n"));
}

#[test]
fn forms_that_do_not_fit_the_format_are_refused() {
    for form in ["ndjson", "json-array"] {
        let settings = json!({ "http_post_url": "http://localhost/", "http_post_batch": form });
        let refused = DriverRunner::open_with::<HttpPost>(&settings, &context()).err().unwrap();
        let expected = "is for JSON, and the format writes text/plain: use lines";
        assert_eq!(refused, format!("http_post_batch = {form} {expected}"));
    }
}

#[test]
fn a_request_has_limits() {
    let check = |settings: Value, expected: &[usize]| {
        let server = Server::start(|_, _| ok());
        let mut settings = settings;
        settings["http_post_batch"] = "ndjson".into();
        settings["http_client_max_parallel_connections"] = 1.into();
        assert_eq!(open(settings, &server).send(&payloads(10)), Sent::whole(10));
        let requests = server.requests();
        let lines = requests.iter().map(|request| request.body.lines().count());
        assert_eq!(lines.collect::<Vec<_>>(), expected);
        assert_eq!(requests.iter().map(|one| one.body.as_str()).collect::<String>().len(), 100);
    };
    check(json!({}), &[10]);
    check(json!({ "http_post_batch_max_events": 4 }), &[4, 4, 2]);
    check(json!({ "http_post_batch_max_events": 0 }), &[10]);
    check(json!({ "http_post_batch_max_size": 35 }), &[3, 3, 3, 1]);
    check(json!({ "http_post_batch_max_size": 1, "http_post_batch_max_events": 4 }), &[1; 10]);
}

#[test]
fn bodies_are_compressed() {
    for encoding in ["gzip", "zstd"] {
        for batch in ["none", "ndjson"] {
            let server = Server::start(|_, _| ok());
            let settings = json!({ "http_post_batch": batch, "http_post_compression": encoding });
            let mut driver = open(settings, &server);
            let payloads = payloads(200);
            assert_eq!(driver.send(&payloads), Sent::whole(200));
            let mut lines: Vec<String> = server
                .requests()
                .iter()
                .flat_map(|request| request.body.lines().map(str::to_owned).collect::<Vec<_>>())
                .collect();
            lines.sort();
            assert_eq!(lines, payloads);
            let first = &server.requests()[0];
            assert_eq!(first.header("content-encoding"), Some(encoding));
            let length: usize = first.header("content-length").unwrap().parse().unwrap();
            assert!(batch == "none" || length < 1000, "{length} of 2000 bytes");
        }
    }
}

#[test]
fn one_bad_event_does_not_sink_its_batch() {
    for status in ["400 Bad Request", "413 Content Too Large", "422 Unprocessable Entity"] {
        let server = Server::start(move |_, request| {
            match request.body.contains("event 042") || request.body.contains("event 099") {
                true => Reply::Status(status, "", b"no such\r\n thing".to_vec()),
                false => ok(),
            }
        });
        let sent = ndjson(&server).send(&payloads(100));
        let expected: Vec<usize> = (0..100).filter(|at| ![42, 99].contains(at)).collect();
        assert_eq!(sent.delivered, expected);
        let reasons: Vec<_> = sent.given_up.iter().map(|(at, why)| (*at, why.as_str())).collect();
        let status = status.replace("Content Too", "Payload Too");
        let reason = format!("HTTP {status}: no such thing");
        assert_eq!(reasons, [(42, reason.as_str()), (99, reason.as_str())]);
        assert_eq!(sent.error, None);
        assert!(server.requests().len() < 40, "{}", server.requests().len());
    }
}

#[test]
fn halves_go_in_order() {
    let server = Server::start(|_, request| match request.body.lines().count() {
        4.. => Reply::Status("413 Content Too Large", "", vec![]),
        _ => ok(),
    });
    let settings =
        json!({ "http_post_batch": "ndjson", "http_client_max_parallel_connections": 1 });
    assert_eq!(open(settings, &server).send(&payloads(100)), Sent::whole(100));
    let taken = server.requests().into_iter().filter(|one| one.body.lines().count() < 4);
    let bodies: String = taken.map(|request| request.body).collect();
    assert_eq!(bodies.lines().collect::<Vec<_>>(), payloads(100));
}

#[test]
fn an_event_that_breaks_the_server_is_found() {
    let server = Server::start(|_, request| match request.body.contains("event 007") {
        true => Reply::Raw(""),
        false => ok(),
    });
    let mut driver = ndjson(&server);
    assert_eq!(send(&mut driver, &payloads(100), 20), (99, vec![]));
    let last = server.requests().pop().unwrap();
    assert_eq!(last.body, "event 007\n");
}

#[test]
fn an_event_that_is_barred_alone_is_given_up() {
    let server = Server::start(|_, request| match request.body.contains("event 007") {
        true => Reply::Status("403 Forbidden", "", b"firewall".to_vec()),
        false => ok(),
    });
    let mut driver = ndjson(&server);
    let reason = "event 007: HTTP 403 Forbidden: firewall (others are taken)";
    assert_eq!(send(&mut driver, &payloads(100), 30), (99, vec![reason.to_owned()]));
}

#[test]
fn what_somebody_can_put_right_is_waited_for() {
    for status in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "302 Found"] {
        for settings in [json!({ "http_post_batch": "ndjson" }), json!({})] {
            let server = Server::start(move |number, _| match number {
                0..60 => Reply::Status(status, "", vec![]),
                _ => ok(),
            });
            let mut driver = open(settings, &server);
            assert_eq!(send(&mut driver, &payloads(10), 100), (10, vec![]), "{status}");
        }
    }
}

#[test]
fn attempts_can_be_limited() {
    let settings = |attempts: u32| json!({ "http_post_batch": "ndjson", "http_client_request_max_attempts": attempts });
    let down = |number: usize, _: &_| match number {
        0..3 => Reply::Status("503 Service Unavailable", "", vec![]),
        _ => ok(),
    };
    let server = Server::start(down);
    assert_eq!(send(&mut open(settings(4), &server), &payloads(2), 10), (2, vec![]));
    let server = Server::start(down);
    let (delivered, given_up) = send(&mut open(settings(3), &server), &payloads(2), 10);
    let reason = "HTTP 503 Service Unavailable (attempt 3 of 3)";
    let expected = [format!("event 000: {reason}"), format!("event 001: {reason}")];
    assert_eq!((delivered, given_up.as_slice()), (0, expected.as_slice()));
}

#[test]
fn only_what_the_server_had_was_tried() {
    let settings = || json!({ "http_client_max_parallel_connections": 1 });
    let check = |status: &'static str, tried: &[usize]| {
        let server = Server::start(move |number, _| match number {
            0 => ok(),
            _ => Reply::Status(status, "", vec![]),
        });
        let mut driver = open(settings(), &server);
        let sent = driver.send(&payloads(4));
        assert_eq!((sent.delivered, driver.tried()), (vec![0], tried), "{status}");
    };
    check("500 Internal Server Error", &[1]);
    check("503 Service Unavailable", &[1]);
    check("401 Unauthorized", &[1]);
    // Given up is more than tried.
    check("400 Bad Request", &[]);
    let nobody = json!({ "http_post_url": "http://127.0.0.1:1/" });
    let mut driver = DriverRunner::open::<HttpPost>(&nobody).unwrap();
    assert_eq!((driver.send(&payloads(3)).delivered.len(), driver.tried()), (0, &[][..]));
}

#[test]
fn lines_have_no_lines_within() {
    let server = Server::start(|_, _| ok());
    let sent = open(json!({ "http_post_batch": "lines" }), &server).send(&["a", "b\nc", "d"]);
    assert_eq!(sent.delivered, [0, 2]);
    let reason = "an event of several lines does not fit into http_post_batch = lines";
    assert_eq!(sent.given_up, [(1, reason.to_owned())]);
    assert_eq!(server.bodies().concat(), "a\nd\n");
}
