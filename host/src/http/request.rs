//! A request: its head, as it was understood, and its body.

/// The version that a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// One of [`Request::METHODS`].
    pub method: &'static str,
    /// What is asked for, as it was written.
    pub target: String,
    /// The peer's version.
    pub version: Version,
    /// Names in lower case, and values, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body; empty when there is none.
    pub body: Vec<u8>,
    /// Whether another request may follow on the connection.
    pub keep_alive: bool,
}

impl Request {
    /// The methods that are known; another one is answered with 501.
    pub const METHODS: &[&str] =
        &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

    /// The values of the headers of this name, which is in lower case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = self.headers.iter().filter(move |(found, _)| found == name);
        named.map(|(_, value)| value.as_slice())
    }

    /// The words of the headers of this name: what their commas part, without
    /// blanks around it, in lower case.
    pub fn words(&self, name: &str) -> Vec<String> {
        let mut words = Vec::new();
        for value in self.values(name) {
            let value = String::from_utf8_lossy(value).to_ascii_lowercase();
            let parts = value.split(',').map(str::trim).filter(|word| !word.is_empty());
            words.extend(parts.map(str::to_owned));
        }
        words
    }

    /// The target's path: without scheme and host, and without what follows a `?`.
    pub fn path(&self) -> &str {
        let target = self.target.as_str();
        let path = match target.split_once("://") {
            // An absolute form; a `://` behind a `/` or `?` belongs to a path.
            Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
                rest.find(['/', '?']).map_or("/", |at| &rest[at..])
            }
            _ => target,
        };
        match path.split('?').next() {
            Some("") | None => "/",
            Some(path) => path,
        }
    }
}
