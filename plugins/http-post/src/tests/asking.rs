//! What requests say of us, how they wait, and where they are sent instead.

use std::{fs, path::Path};

use super::*;

fn patient(mut settings: Value) -> Value {
    settings["http_client_request_absolute_timeout"] = 10_000.into();
    settings
}

fn refused(mut settings: Value) -> String {
    if settings.get("http_post_url").is_none() {
        settings["http_post_url"] = "http://localhost/".into();
    }
    DriverRunner::open::<HttpPost>(&settings).err().unwrap()
}

/// A server that believes those who say this, and counts all.
fn believing(expected: &'static str) -> Server {
    Server::start(move |_, request| match request.header("authorization") {
        Some(found) if found == expected => ok(),
        _ => Reply::Status("401 Unauthorized", "", vec![]),
    })
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

#[test]
fn further_headers_are_sent() {
    let server = Server::start(|_, _| ok());
    let headers = json!({
        "X-Name": " value ", "Authorization": "ApiKey abc", "Content-Type": "text/x-log",
    });
    let mut driver = open_with(patient(json!({ "http_post_headers": headers })), &server.url());
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    let request = &server.requests()[0];
    assert_eq!(request.header("x-name"), Some("value"));
    assert_eq!(request.header("authorization"), Some("ApiKey abc"));
    assert_eq!(request.header("content-type"), Some("text/x-log"));
    assert_eq!(request.head.matches("content-type").count(), 1);
}

#[test]
fn headers_that_can_not_be_sent_are_refused() {
    let check = |name: &str, value: &str, expected: &str| {
        let refused = refused(json!({ "http_post_headers": { name: value } }));
        assert_eq!(refused, format!("http_post_headers: {expected}"));
        assert!(value.is_empty() || !refused.contains(value));
    };
    check("a b", "s3cret", "`a b` can't be the name of a header");
    check("", "s3cret", "`` can't be the name of a header");
    check("X-A", "s3c\nret", "the value of X-A can't stand in an HTTP header");
    check("Host", "s3cret", "Host is what http_post_url says");
    check("content-length", "s3cret", "content-length is what the driver says");
    check("User-Agent", "s3cret", "User-Agent is what http_client_user_agent says");
    let both = json!({ "http_post_username": "me", "http_post_headers": { "Authorization": "x" } });
    let expected = "Authorization is what the user or the token of other settings says";
    assert_eq!(refused(both), format!("http_post_headers: {expected}"));
}

#[test]
fn users_have_passwords() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    write(&file, "a: b \n");
    let check = |settings: Value| {
        // me:a: b
        let server = believing("Basic bWU6YTogYiA=");
        let mut driver = open_with(patient(settings), &server.url());
        assert_eq!(driver.send(&["one"]), Sent::whole(1));
    };
    check(json!({ "http_post_username": "me", "http_post_password": "a: b " }));
    check(json!({ "http_post_username": "me", "http_post_password_file": file }));
}

#[test]
fn ways_to_say_who_we_are_that_contradict_are_refused() {
    let check = |settings: Value, expected: &str| assert_eq!(refused(settings), expected);
    check(
        json!({ "http_post_url": "http://a:b@localhost/", "http_post_username": "c" }),
        "the user in http_post_url and http_post_username don't go together",
    );
    check(
        json!({ "http_post_username": "c", "http_post_bearer_token_file": "/nowhere" }),
        "http_post_username and http_post_bearer_token_file don't go together",
    );
    check(
        json!({ "http_post_password": "s3cret" }),
        "a password without http_post_username says nothing",
    );
    check(
        json!({
            "http_post_username": "c",
            "http_post_password": "s3cret",
            "http_post_password_file": "/nowhere",
        }),
        "http_post_password and http_post_password_file don't go together",
    );
    check(json!({ "http_post_username": "a:b" }), "http_post_username can't contain a colon");
    check(
        json!({ "http_post_bearer_token_file": "/nowhere" }),
        "http_post_bearer_token_file /nowhere: No such file or directory (os error 2)",
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let check = |text: &str, expected: &str| {
        write(&file, text);
        let refused = refused(json!({ "http_post_bearer_token_file": file }));
        assert!(refused.ends_with(expected), "{refused}");
    };
    check(" \n", "token: is empty");
    check("a b\n", "token: is not a token: it has blanks or other than ASCII in it");
    check(&"x".repeat(20_000), "token: is too long for a secret");
}

#[test]
fn a_new_token_is_used_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    write(&file, "old\n");
    let server = believing("Bearer new");
    let settings = patient(json!({ "http_post_bearer_token_file": file }));
    let mut driver = open_with(settings.clone(), &server.url());
    assert_eq!(refusal(driver.send(&["one"])), "HTTP 401 Unauthorized");
    assert_eq!(server.requests().len(), 1);
    write(&file, "new\n");
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    assert_eq!(server.requests().len(), 3, "one that was refused, and one at once");
    assert_eq!(driver.send(&["two"]), Sent::whole(1));
    assert_eq!(server.requests().len(), 4);

    // A file that is gone is no reason to forget what it said.
    fs::remove_file(&file).unwrap();
    assert_eq!(driver.send(&["three"]), Sent::whole(1));
    write(&file, "other\n");
    assert_eq!(driver.reopen(), None);
    assert_eq!(refusal(driver.send(&["four"])), "HTTP 401 Unauthorized");
}

#[test]
fn redirects_are_not_followed_unless_told() {
    let server =
        Server::start(|_, _| Reply::Status("302 Found", "Location: /elsewhere\r\n", vec![]));
    assert_eq!(refusal(open_patient(&server).send(&["one"])), "HTTP 302 Found, to /elsewhere");
    let settings = json!({
        "http_client_request_max_redirects": 3,
        "http_client_auto_redirect": false,
        "ssl_client_require_valid_cert": false,
    });
    let mut driver = open_with(patient(settings), &server.url());
    assert_eq!(refusal(driver.send(&["one"])), "HTTP 302 Found, to /elsewhere");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn redirects_are_followed() {
    let other = Server::start(|_, _| ok());
    let there: &'static str = Box::leak(format!("Location: {}\r\n", other.url()).into_boxed_str());
    let server = Server::start(move |_, request| match request.head.starts_with("POST /events ") {
        true => Reply::Status("307 Temporary Redirect", "Location: /other\r\n", vec![]),
        false => Reply::Status("308 Permanent Redirect", there, vec![]),
    });
    let settings = json!({
        "http_client_request_max_redirects": 2,
        "http_post_headers": { "X-Key": "s3cret" },
        "http_post_username": "me",
        "ssl_client_require_valid_cert": false,
    });
    let mut driver = open_with(patient(settings.clone()), &server.url());
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    for request in server.requests() {
        assert_eq!(request.body, "one");
        assert_eq!(request.header("x-key"), Some("s3cret"));
        assert_eq!(request.header("authorization"), Some("Basic bWU6"));
    }
    let request = &other.requests()[0];
    assert_eq!(request.body, "one");
    assert_eq!(request.header("content-type"), Some("text/plain"));
    assert_eq!((request.header("x-key"), request.header("authorization")), (None, None));

    // A ring ends.
    let ring =
        Server::start(|_, _| Reply::Status("307 Temporary Redirect", "Location: /\r\n", vec![]));
    let mut driver = open_with(patient(settings), &ring.url());
    assert_eq!(refusal(driver.send(&["one"])), "HTTP 307 Temporary Redirect, to /");
    assert_eq!(ring.requests().len(), 3);
}

#[test]
fn connections_that_are_not_to_wait_are_closed() {
    let server = Server::start(|_, _| ok());
    let settings = patient(json!({ "http_client_max_idle_time": 0 }));
    let mut driver = open_with(settings, &server.url());
    for _ in 0..3 {
        assert_eq!(driver.send(&["one"]), Sent::whole(1));
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn a_response_can_be_waited_for_less_than_a_request() {
    let server = Server::start(|_, _| Reply::Never);
    let settings = patient(json!({ "http_client_request_timeout": 100 }));
    let reason = refusal(open_with(settings, &server.url()).send(&["one"]));
    assert_eq!(reason, "no response within 100 ms");
}

#[test]
fn pauses_grow_while_the_server_can_not_be_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let settings = patient(json!({
        "http_client_connect_backoff_time": 100,
        "http_client_connect_backoff_max_time": 350,
    }));
    let mut driver = open_with(settings, &url);
    for expected in [100, 200, 350, 350] {
        let Some(SentError::Retry(_, after)) = driver.send(&["one"]).error else { panic!() };
        assert_eq!(after, Some(expected));
    }
}

#[test]
fn a_server_can_ask_for_a_moment() {
    let server = Server::start(|_, _| {
        let moment = "Retry-After: Tue, 31 Dec 2199 23:59:59 GMT\r\n";
        Reply::Status("503 Service Unavailable", moment, b"later".to_vec())
    });
    let check = |settings: Value, expected: Option<u64>| {
        let sent = open_with(patient(settings), &server.url()).send(&["one"]);
        let reason = "HTTP 503 Service Unavailable: later".to_owned();
        assert_eq!(sent.error, Some(SentError::Retry(reason, expected)));
    };
    check(json!({}), Some(600_000));
    check(json!({ "http_client_max_auto_retry_delay": 5_000 }), Some(5_000));
    check(json!({ "http_client_max_auto_retry_delay": 0 }), None);
}
