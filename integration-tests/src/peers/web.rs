//! A client of the host's pages, byte by byte.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use crate::PATIENCE;

/// A page that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status code.
    pub status: u16,
    /// The head's lines, without the first.
    pub headers: Vec<String>,
    /// The body.
    pub body: String,
}

/// Sends `bytes` as they are, and returns all that is answered until the end.
pub fn web(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The host may answer and close before it has everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// Gets a page, with these further header lines.
pub fn get_with(address: &str, path: &str, headers: &str) -> Page {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    let answer = web(address, request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    Page { status, headers: lines.map(str::to_owned).collect(), body: body.to_owned() }
}

/// Gets a page.
pub fn get(address: &str, path: &str) -> Page {
    get_with(address, path, "")
}

impl Page {
    /// The figure of a page of metrics that stands behind exactly this name and these
    /// labels; 0 when there is none.
    pub fn figure(&self, name: &str) -> u64 {
        let figure = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        self.body.lines().find_map(figure).unwrap_or(0)
    }

    /// The sum of the figures of a name, whatever their labels.
    pub fn sum(&self, name: &str) -> u64 {
        let start = format!("{name}{{");
        let lines = self.body.lines().filter(|line| line.starts_with(&start));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    }
}
