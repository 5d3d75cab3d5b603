//! The headers of every request, our own and the configuration's.

use fantail_sdk::{DriverContext, PluginError};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{body::Shape, settings::Settings};

/// What numbered the events of a request, in hexadecimal.
pub(crate) const SOURCE: &str = "fantail-source";

/// Their numbers there: `5-9`.
pub(crate) const NUMBERS: &str = "fantail-numbers";

/// Headers that a request has from elsewhere, and from where.
const RESERVED: &[(&str, &str)] = &[
    ("host", "http_post_url"),
    ("user-agent", "http_client_user_agent"),
    ("content-encoding", "http_post_compression"),
    ("proxy-authorization", "http_client_proxy_username"),
    ("content-length", "the driver"),
    ("transfer-encoding", "the driver"),
    ("connection", "the driver"),
    ("keep-alive", "the driver"),
    ("te", "the driver"),
    ("trailer", "the driver"),
    ("upgrade", "the driver"),
    ("expect", "the driver"),
    (SOURCE, "http_post_relay"),
    (NUMBERS, "http_post_relay"),
];

/// What every request says, but for who is asking.
///
/// # Errors
///
/// When a header of the configuration is not one, or is not its to set.
pub(crate) fn headers(
    settings: &Settings,
    context: &DriverContext,
    shape: Shape,
    is_authorized: bool,
) -> Result<HeaderMap, PluginError> {
    let mut headers = HeaderMap::new();
    let content_type = shape.content_type(content_type(context));
    headers.insert(header::CONTENT_TYPE, value("the format's content type", content_type)?);
    if let Some(encoding) = shape.encoding() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    for (name, text) in &settings.http_post_headers {
        let wrong = |why: String| PluginError::new(format!("http_post_headers: {why}"));
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| wrong(format!("`{name}` can't be the name of a header")))?;
        if let Some((_, owner)) = RESERVED.iter().find(|(reserved, _)| parsed == *reserved) {
            return Err(wrong(format!("{name} is what {owner} says")));
        }
        if parsed == header::AUTHORIZATION && is_authorized {
            let text = "Authorization is what the user or the token of other settings says";
            return Err(wrong(text.to_owned()));
        }
        // The value may be a secret: errors don't repeat it.
        let mut value = HeaderValue::from_str(text.trim())
            .map_err(|_| wrong(format!("the value of {name} can't stand in an HTTP header")))?;
        value.set_sensitive(parsed != header::CONTENT_TYPE);
        headers.insert(parsed, value);
    }
    Ok(headers)
}

/// The payloads' MIME type.
pub(crate) fn content_type(context: &DriverContext) -> &str {
    match context.content_type.as_str() {
        "" => "application/octet-stream",
        set => set,
    }
}

/// The value of a header.
///
/// # Errors
///
/// When `text` has other than visible ASCII and blanks in it.
pub(crate) fn value(what: &str, text: &str) -> Result<HeaderValue, PluginError> {
    HeaderValue::from_str(text)
        .map_err(|_| PluginError::new(format!("{what} can't stand in an HTTP header")))
}
