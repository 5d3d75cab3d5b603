//! What is read from which bytes, whole and in pieces.

use proptest::{collection::vec, prelude::any, proptest};

use super::{Answer, Codec, Limits, Read, Request, Status, Version};

const LIMITS: Limits = Limits { head: 512, body: 64 };

/// Everything that is read when `bytes` come in pieces of this size.
fn read(bytes: &[u8], piece: usize) -> Vec<Read> {
    let mut codec = Codec::new(LIMITS);
    let (mut found, mut held) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(piece.max(1)) {
        held.extend_from_slice(piece);
        loop {
            let (consumed, read) = codec.read(&held);
            held.drain(..consumed);
            assert!(held.len() <= LIMITS.head.max(1024), "{} bytes are held", held.len());
            match read {
                Read::More => break,
                Read::Refused(_) => {
                    found.push(read);
                    return found;
                }
                Read::Continue | Read::Request(_) => found.push(read),
            }
        }
    }
    found
}

/// What was read, in short: `GET /path [body]`, `continue`, or a status.
fn shown(read: &Read) -> String {
    match read {
        Read::More => "more".into(),
        Read::Continue => "continue".into(),
        Read::Refused(refusal) => refusal.status.code().to_string(),
        Read::Request(Request { method, body, keep_alive, .. }) => {
            let Read::Request(request) = read else { unreachable!() };
            let end = if *keep_alive { "" } else { " close" };
            format!("{method} {} [{}]{end}", request.path(), String::from_utf8_lossy(body))
        }
    }
}

#[track_caller]
fn check(bytes: &str, expected: &[&str]) {
    for piece in [bytes.len(), 1, 2, 3, 7] {
        let found: Vec<_> = read(bytes.as_bytes(), piece).iter().map(shown).collect();
        assert_eq!(found, expected, "in pieces of {piece}: {bytes:?}");
    }
}

#[test]
fn requests_are_read() {
    check("GET / HTTP/1.1\r\nHost: h\r\n\r\n", &["GET / []"]);
    check("HEAD /metrics?a=/b HTTP/1.1\nhost:h\n\n", &["HEAD /metrics []"]);
    check("GET /a HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n", &["GET /a [] close"]);
    check("GET /a HTTP/1.0\r\n\r\n", &["GET /a [] close"]);
    check("GET /a HTTP/1.0\r\nConnection: foo, Keep-Alive\r\n\r\n", &["GET /a []"]);
    check("GET http://h:1/x?y HTTP/1.1\r\nHost: h\r\n\r\n", &["GET /x []"]);
    check("GET http://h?y HTTP/1.1\r\nHost: h\r\n\r\n", &["GET / []"]);
    check("GET /a?b=http://c HTTP/1.1\r\nHost: h\r\n\r\n", &["GET /a []"]);
    check("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", &["OPTIONS * []"]);
    check("\r\n\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", &["GET / []"]);
    check("GET / HTTP/1.1\r\nHost: h\r\n", &[]);
}

#[test]
fn requests_follow_each_other() {
    let one = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n";
    let two = "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    check(&format!("{one}{two}{one}"), &["GET /1 []", "POST /2 [abc]", "GET /1 []"]);
}

#[test]
fn bodies_are_read() {
    let post = |headers: &str, body: &str| {
        format!("POST / HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n{body}")
    };
    let whole = "x".repeat(LIMITS.body);
    check(&post("Content-Length: 64", &whole), &[&format!("POST / [{whole}]")]);
    check(&post("Content-Length: 0", ""), &["POST / []"]);
    check(&post("Content-Length: 3\r\nContent-Length: 3", "abc"), &["POST / [abc]"]);
    let chunked = "Transfer-Encoding: Chunked";
    check(&post(chunked, "3\r\nabc\r\n2;e=\"f\"\r\nde\r\n0\r\n\r\n"), &["POST / [abcde]"]);
    check(&post(chunked, "1\r\na\r\n000\r\nTrailer: x\r\n\r\n"), &["POST / [a]"]);
    check(&post(chunked, &format!("40\r\n{whole}\r\n0\r\n\r\n")), &[&format!("POST / [{whole}]")]);
    let expect = "Expect: 100-Continue\r\nContent-Length: 1";
    check(&post(expect, "a"), &["continue", "POST / [a]"]);
    check(&post("Expect: 100-continue", ""), &["POST / []"]);
}

#[test]
fn what_is_no_request_is_refused() {
    let get = |headers: &str| format!("GET / HTTP/1.1\r\n{headers}\r\n\r\n");
    check("\x16\x03\x01\x02", &["400"]);
    check("GET /\r\n\r\n", &["400"]);
    check("GET / FTP/1.1\r\n\r\n", &["400"]);
    check("G(T / HTTP/1.1\r\n\r\n", &["400"]);
    check("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", &["501"]);
    check("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &["505"]);
    check("GET / HTTP/1.2\r\n\r\n", &["505"]);
    check(&get("Accept: x"), &["400"]);
    check(&get("Host: a\r\nHost: a"), &["400"]);
    check(&get("Host: h\r\nno colon"), &["400"]);
    check(&get("Host: h\r\n folded: x"), &["400"]);
    check(&get("Host: h\r\nExpect: wonders"), &["417"]);
    check(&get("Host: h\r\nContent-Length: +1"), &["400"]);
    check(&get("Host: h\r\nContent-Length: 1, 1"), &["400"]);
    check(&get("Host: h\r\nContent-Length:"), &["400"]);
    check(&get("Host: h\r\nContent-Length: 1\r\nContent-Length: 2"), &["400"]);
    check(&get("Host: h\r\nContent-Length: 65"), &["413"]);
    check(&get("Host: h\r\nContent-Length: 99999999999999999999999"), &["413"]);
    check(&get("Host: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"), &["400"]);
    check(&get("Host: h\r\nTransfer-Encoding: gzip, chunked"), &["501"]);
    check(&get("Host: h\r\nTransfer-Encoding: ,"), &["501"]);
    check("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", &["400"]);
}

#[test]
fn chunks_are_strict() {
    let chunks = |body: &str| {
        format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
    };
    check(&chunks("\r\n"), &["400"]);
    check(&chunks("x\r\n"), &["400"]);
    check(&chunks("-1\r\n"), &["400"]);
    check(&chunks("1\nab"), &["400"]);
    check(&chunks("1\r\nab\r\n"), &["400"]);
    check(&chunks("41\r\n"), &["413"]);
    check(&chunks("40\r\n"), &[]);
    check(&chunks("1\r\na\r\n40\r\n"), &["413"]);
    check(&chunks("fffffffffffffffff\r\n"), &["400"]);
    check(&chunks("ffffffffffffffff\r\n"), &["413"]);
    check(&chunks(&format!("1;{}\r\n", "x".repeat(1024))), &["400"]);
    check(&chunks(&format!("0\r\nT: {}\r\n", "x".repeat(1024))), &["431"]);
    check(&chunks(&format!("0\r\n{}", "T: x\r\n".repeat(3000))), &["431"]);
}

#[test]
fn heads_have_limits() {
    let long = "x".repeat(LIMITS.head);
    check(&format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"), &["414"]);
    check(&format!("GET / HTTP/1.1\r\nHost: h\r\nA: {long}\r\n\r\n"), &["431"]);
    let many = "A:\r\n".repeat(101);
    check(&format!("GET / HTTP/1.1\r\n{many}\r\n"), &["431"]);
    // One byte more than fits, or none.
    let fitting = |length: usize| {
        let frame = "GET / HTTP/1.1\r\nHost: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "h".repeat(length - frame))
    };
    check(&fitting(LIMITS.head), &["GET / []"]);
    check(&fitting(LIMITS.head + 1), &["431"]);
}

#[test]
fn after_a_refusal_nothing_is_read() {
    let mut codec = Codec::new(LIMITS);
    assert!(matches!(codec.read(b"\0"), (1, Read::Refused(_))));
    let (consumed, read) = codec.read(b"GET / HTTP/1.0\r\n\r\n");
    assert!(consumed == 18 && matches!(read, Read::Refused(_)));
}

#[test]
fn a_body_can_be_passed_over() {
    let check = |headers: &str, body: &str, rest: &str, expected: &str| {
        let mut codec = Codec::new(LIMITS);
        let begin = format!("POST /a HTTP/1.1\r\nHost: h\r\n{headers}\r\n\r\n{body}");
        assert_eq!(codec.read(begin.as_bytes()), (begin.len(), Read::More));
        assert_eq!(codec.pending().unwrap().path(), "/a");
        codec.discard();
        let (_, read) = codec.read(rest.as_bytes());
        assert_eq!(shown(&read), expected);
        assert!(codec.pending().is_none());
    };
    let whole = "x".repeat(LIMITS.body);
    check("Content-Length: 4", "ab", "cd", "POST /a []");
    check("Content-Length: 64", "", &whole, "POST /a []");
    let chunked = "Transfer-Encoding: chunked";
    check(chunked, "1\r\na\r\n", "2\r\nbc\r\n0\r\n\r\n", "POST /a []");
    // What is passed over is not for nothing.
    check(chunked, &format!("40\r\n{whole}\r\n"), "1\r\nb\r\n", "413");
    // And the next one is kept again.
    let mut codec = Codec::new(LIMITS);
    let post = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(codec.read(post), (post.len(), Read::More));
    codec.discard();
    assert_eq!(shown(&codec.read(b"ab").1), "POST / []");
    assert_eq!(codec.read(post), (post.len(), Read::More));
    assert_eq!(shown(&codec.read(b"ab").1), "POST / [ab]");
}

#[test]
fn answers_are_written() {
    let write = |method, version, keep_alive| {
        let target = "/".to_owned();
        let (headers, body) = (Vec::new(), Vec::new());
        let request = Request { method, target, version, headers, body, keep_alive };
        let mut out = Vec::new();
        let headers_of_answer = "Retry-After: 1\r\n";
        let answer = Answer {
            allow: "GET",
            headers: headers_of_answer,
            ..Answer::line(Status::MethodNotAllowed, "no")
        };
        assert_eq!(answer.write(&request, &mut out), keep_alive);
        String::from_utf8(out).unwrap()
    };
    let head = "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain; charset=utf-8\r\n\
                Content-Length: 3\r\nAllow: GET\r\nRetry-After: 1\r\n";
    assert_eq!(write("PUT", Version::Http11, true), format!("{head}\r\nno\n"));
    assert_eq!(write("HEAD", Version::Http11, true), format!("{head}\r\n"));
    let kept = format!("{head}Connection: keep-alive\r\n\r\nno\n");
    assert_eq!(write("PUT", Version::Http10, true), kept);
    let closed = format!("{head}Connection: close\r\n\r\nno\n");
    assert_eq!(write("PUT", Version::Http11, false), closed);
}

proptest! {
    /// Whatever comes: how it is cut does not matter.
    #[test]
    fn pieces_make_the_whole(bytes in vec(any::<u8>(), 0..300), piece in 1_usize..20) {
        let begin = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        for bytes in [bytes.clone(), [begin.as_slice(), &bytes].concat()] {
            // Which of several faults is named may depend on how much has been seen.
            let shown = |read: &Read| match read {
                Read::Refused(_) => "refused".to_owned(),
                read => shown(read),
            };
            let whole: Vec<_> = read(&bytes, bytes.len()).iter().map(shown).collect();
            let pieces: Vec<_> = read(&bytes, piece).iter().map(shown).collect();
            assert_eq!(whole, pieces);
        }
    }
}
