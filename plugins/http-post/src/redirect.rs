//! Where a redirect leads.
//!
//! An event is posted there again, with the same body: to ask for the page by GET, as
//! browsers do after 301, 302 and 303, would lose it. So 303, which asks for just that,
//! is not followed; nor is a way from https to http.

use ureq::http::{Response, Uri, header};

/// The URL that a response to a request for `from` leads to.
pub(crate) fn target<T>(from: &Uri, response: &Response<T>) -> Option<Uri> {
    if !matches!(response.status().as_u16(), 301 | 302 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?.to_str().ok()?.trim();
    let location = location.split('#').next().unwrap_or_default();
    let (scheme, authority) = (from.scheme_str()?, from.authority()?.as_str());
    let path = from.path();
    let url = if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{path}{location}")
    } else {
        let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
        format!("{scheme}://{authority}{folder}{location}")
    };
    let url: Uri = url.parse().ok()?;
    let is_safe = match url.scheme_str()? {
        "https" => true,
        "http" => scheme == "http",
        _ => false,
    };
    url.host().filter(|host| is_safe && !host.is_empty())?;
    Some(url)
}

/// Whether both are of one server, which may be told the same.
pub(crate) fn same_server(one: &Uri, other: &Uri) -> bool {
    let port = |url: &Uri| {
        url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 })
    };
    let host = |url: &Uri| url.host().map(str::to_ascii_lowercase);
    one.scheme() == other.scheme() && host(one) == host(other) && port(one) == port(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, from: &str, location: &str, expected: Option<&str>) {
        let response =
            Response::builder().status(status).header("location", location).body(()).unwrap();
        let target = target(&from.parse().unwrap(), &response).map(|url| url.to_string());
        assert_eq!(target.as_deref(), expected, "{location}");
    }

    #[test]
    fn a_redirect_leads_somewhere() {
        let from = "http://u:p@a.example:8080/x/y?z";
        check(307, from, "/b?c", Some("http://u:p@a.example:8080/b?c"));
        check(308, from, "b#part", Some("http://u:p@a.example:8080/x/b"));
        check(301, from, "?q", Some("http://u:p@a.example:8080/x/y?q"));
        check(302, from, "//b.example/c", Some("http://b.example/c"));
        check(302, from, "https://b.example", Some("https://b.example/"));
        check(303, from, "/b", None);
        check(304, from, "/b", None);
        check(307, from, "ftp://b.example/", None);
        check(307, "https://a.example/", "http://a.example/", None);
        check(307, from, "http:///", None);
    }

    #[test]
    fn another_server_is_another() {
        let check = |one: &str, other: &str, expected| {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(same_server(&one, &other), expected, "{one} {other}");
        };
        check("http://u:p@a.example/x", "http://A.example:80/y", true);
        check("https://a.example/", "https://a.example:443/", true);
        check("http://a.example/", "https://a.example/", false);
        check("http://a.example/", "http://a.example:8080/", false);
        check("http://a.example/", "http://b.example/", false);
    }
}
