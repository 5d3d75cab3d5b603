//! Ways through a proxy.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use super::{trust, *};

fn through(proxy: &Server, mut settings: Value) -> Value {
    settings["http_client_request_absolute_timeout"] = 10_000.into();
    settings["http_client_proxy_url"] = format!("http://{}", proxy.address).into();
    settings
}

#[test]
fn plain_http_is_forwarded() {
    let proxy = Server::start(|number, request| {
        let known = request.header("proxy-authorization") == Some("Basic bWU6YTpi");
        assert!(request.head.starts_with("POST http://nobody.invalid:8080/a?b HTTP/1.1\r\n"));
        assert_eq!(request.header("host"), Some("nobody.invalid:8080"));
        assert_eq!(request.header("authorization"), Some("Basic dXM6ZXI="));
        match number {
            _ if !known => Reply::Status("407 Proxy Authentication Required", "", vec![]),
            2 => Reply::Status("503 Service Unavailable", "", vec![]),
            _ => ok(),
        }
    });
    let url = "http://us:er@nobody.invalid:8080/a?b";
    let settings = json!({
        "http_client_proxy_username": "me",
        "http_client_proxy_password": "a:b",
        "http_post_headers": { "X-Long": "x".repeat(15_000) },
    });
    let mut driver = open_with(through(&proxy, settings), url);
    let large = "x".repeat(100_000);
    for payload in ["one", &large, "retried"] {
        let sent = driver.send(&[payload]);
        if payload == "retried" {
            assert_eq!(refusal(sent), "HTTP 503 Service Unavailable");
            assert_eq!(driver.send(&[payload]), Sent::whole(1));
        } else {
            assert_eq!(sent, Sent::whole(1));
        }
    }
    assert_eq!(proxy.bodies(), ["one", "retried", "retried", &large]);
    assert_eq!(proxy.connections(), 1, "used again");

    let mut driver = open_with(through(&proxy, json!({})), url);
    let refused = refusal(driver.send(&["one"]));
    assert_eq!(refused, "HTTP 407 Proxy Authentication Required");
}

#[test]
fn https_has_a_tunnel() {
    let server = trust::server(false);
    let address = server.address;
    let proxy = Server::start_with(
        |_, _| panic!("all goes through"),
        move |mut client| {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            assert!(head.starts_with("CONNECT 127.0.0.1:443 HTTP/1.1\r\n"), "{head}");
            let known = head.contains("Proxy-Authorization: Basic bWU6YTpi\r\n");
            let status = if known { "200 OK" } else { "407 Proxy Authentication Required" };
            write!(client, "HTTP/1.1 {status}\r\n\r\n").unwrap();
            if !known {
                return Box::new(client);
            }
            let (mut there, mut back) = (TcpStream::connect(address).unwrap(), client);
            let (mut from, mut to) = (back.try_clone().unwrap(), there.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            // The client may be gone: that is its affair.
            let _ = std::io::copy(&mut there, &mut back);
            Box::new(back)
        },
    );
    let settings = json!({
        "http_client_proxy_username": "me",
        "http_client_proxy_password": "a:b",
        "ssl_client_ca_file": trust::file("ca.pem"),
    });
    let mut driver = open_with(through(&proxy, settings.clone()), "https://127.0.0.1/events");
    assert_eq!(driver.send(&["one"]), Sent::whole(1));
    assert_eq!(driver.send(&["two"]), Sent::whole(1));
    assert_eq!(server.bodies(), ["one", "two"]);
    assert_eq!(proxy.connections(), 1);

    let mut settings = settings;
    settings["http_client_proxy_username"] = "".into();
    settings["http_client_request_max_attempts"] = 1.into();
    let mut driver = open_with(through(&proxy, settings), "https://127.0.0.1/events");
    let refused = refusal(driver.send(&["one"]));
    assert!(
        refused.starts_with("the proxy does not connect: ") && refused.contains("407"),
        "{refused}"
    );
}

#[test]
fn a_redirect_does_not_lead_past_the_proxy() {
    let proxy = Server::start(|_, request| match request.head.contains("/events ") {
        true => Reply::Status("307 Temporary Redirect", "Location: /b\r\n", vec![]),
        false => Reply::Status("307 Temporary Redirect", "Location: http://127.0.0.2/\r\n", vec![]),
    });
    let settings = json!({
        "http_client_request_max_redirects": 5,
        "ssl_client_require_valid_cert": false,
    });
    let mut driver = open_with(through(&proxy, settings), "http://nobody.invalid/events");
    let reason = refusal(driver.send(&["one"]));
    assert_eq!(reason, "HTTP 307 Temporary Redirect, to http://127.0.0.2/");
    assert_eq!(proxy.requests().len(), 2);
}
