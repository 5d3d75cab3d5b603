//! TLS: whom the driver trusts, and who trusts it.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};

use super::*;

pub(super) fn file(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../integration-tests/data/tls"))
        .join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(name)).unwrap()
}

/// A server with TLS, which may ask for the client's certificate.
pub(super) fn server(asks: bool) -> Server {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if asks {
        let mut roots = RootCertStore::empty();
        roots.add(certificate("ca.pem")).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let config = Arc::new(builder.with_single_cert(vec![certificate("server.pem")], key).unwrap());
    Server::start_with(
        |_, _| ok(),
        move |stream| {
            let connection = ServerConnection::new(config.clone()).unwrap();
            Box::new(StreamOwned::new(connection, stream))
        },
    )
}

fn send(server: &Server, mut settings: Value) -> Sent {
    settings["http_client_request_absolute_timeout"] = 10_000.into();
    let mut driver = open_with(settings, &format!("https://{}/events", server.address));
    let first = driver.send(&["one"]);
    if first.error.is_none() {
        assert_eq!(driver.send(&["two"]), Sent::whole(1));
        assert_eq!(server.connections(), 1, "the connection is used again");
    }
    first
}

#[test]
fn a_server_is_trusted_by_its_authority() {
    let server = server(false);
    assert_eq!(send(&server, json!({ "ssl_client_ca_file": file("ca.pem") })), Sent::whole(1));
    assert_eq!(server.bodies(), ["one", "two"]);
}

#[test]
fn an_unknown_authority_is_not_trusted() {
    let server = server(false);
    let settings = json!({
        "ssl_client_ca_file": file("client.pem"),
        // What has not been sent has not been tried.
        "http_client_request_max_attempts": 1,
    });
    let reason = refusal(send(&server, settings));
    assert!(reason.contains("invalid peer certificate: UnknownIssuer"), "{reason}");
    assert!(server.bodies().is_empty());
}

#[test]
fn a_server_that_never_says_hello_is_not_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let check = |more: Value, expected: &str| {
        let mut settings = more;
        settings["ssl_client_ca_file"] = file("ca.pem").to_str().unwrap().into();
        settings["http_client_request_max_attempts"] = 1.into();
        assert_eq!(refusal(open_with(settings, &url).send(&["one"])), expected);
    };
    check(json!({}), "no connection within 250 ms");
    check(json!({ "http_client_connect_timeout": 50 }), "no connection within 50 ms");
}

#[test]
fn trust_can_be_switched_off() {
    let server = server(false);
    assert_eq!(send(&server, json!({ "ssl_client_require_valid_cert": false })), Sent::whole(1));
}

#[test]
fn a_client_shows_its_certificate() {
    let ours = json!({
        "ssl_client_ca_file": file("ca.pem"),
        "ssl_client_cert_file": file("client.pem"),
        "ssl_client_key_file": file("client.key"),
    });
    assert_eq!(send(&server(true), ours), Sent::whole(1));
    // The server hangs up after the handshake: the reason is the alert or the broken pipe.
    let asks = server(true);
    refusal(send(&asks, json!({ "ssl_client_ca_file": file("ca.pem") })));
    assert!(asks.bodies().is_empty());
}

#[test]
fn files_that_can_not_be_used_are_refused() {
    let check = |mut settings: Value, expected: &str| {
        settings["http_post_url"] = "https://localhost/".into();
        let refused = DriverRunner::open::<HttpPost>(&settings).err().unwrap();
        assert!(refused.contains(expected), "{refused}");
    };
    let ca = |name| json!({ "ssl_client_ca_file": file(name) });
    check(ca("nowhere.pem"), "nowhere.pem: No such file or directory (os error 2)");
    check(ca("client.key"), "client.key: no certificate");
    let cert_only = json!({
        "ssl_client_ca_file": file("ca.pem"),
        "ssl_client_cert_file": file("client.pem"),
    });
    check(cert_only, "ssl_client_cert_file and ssl_client_key_file go together");
    let no_key = json!({
        "ssl_client_ca_file": file("ca.pem"),
        "ssl_client_cert_file": file("client.pem"),
        "ssl_client_key_file": file("ca.pem"),
    });
    check(no_key, "ca.pem: no private key");
}
