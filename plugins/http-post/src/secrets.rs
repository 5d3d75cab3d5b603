//! Who we say we are: the `Authorization` of requests.
//!
//! What stands in a file is read at the start, at a reopening, and when the server
//! does not believe us: somebody may just have written a new one.

use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use fantail_sdk::{PluginError, log};
use percent_encoding::percent_decode_str;
use ureq::http::{HeaderValue, Uri};

use crate::settings::Settings;

/// What `Authorization` says, and where that comes from.
pub(crate) struct Authorization {
    file: Option<SecretFile>,
    value: Mutex<Option<HeaderValue>>,
}

/// A file with a secret.
struct SecretFile {
    setting: &'static str,
    path: PathBuf,
    kind: SecretKind,
}

enum SecretKind {
    /// A token for Bearer authentication.
    Token,
    /// The password of this user.
    PasswordOf(String),
}

/// The most bytes of a secret: a header of more is refused by common servers.
const SECRET_MAX: u64 = 16 * 1024;

impl Authorization {
    /// What the settings and the URL say.
    ///
    /// # Errors
    ///
    /// When they say more than one thing, or a file can't be read.
    pub(crate) fn open(settings: &Settings, url: &Uri) -> Result<Self, PluginError> {
        let token = settings.http_post_bearer_token_file.clone();
        let user = settings.http_post_username.clone();
        let of_url = of_url(url)?;
        let ways = [
            (of_url.is_some(), "the user in http_post_url"),
            (!user.is_empty(), "http_post_username"),
            (!token.as_os_str().is_empty(), "http_post_bearer_token_file"),
        ];
        let mut ways = ways.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name);
        if let (Some(one), Some(other)) = (ways.next(), ways.next()) {
            return Err(PluginError::new(format!("{one} and {other} don't go together")));
        }
        let password_file = settings.http_post_password_file.clone();
        let has_file = !password_file.as_os_str().is_empty();
        let has_password = !settings.http_post_password.is_empty();
        if user.is_empty() && (has_file || has_password) {
            return Err(PluginError::new("a password without http_post_username says nothing"));
        }
        if has_file && has_password {
            let text = "http_post_password and http_post_password_file don't go together";
            return Err(PluginError::new(text));
        }
        if user.contains(':') {
            return Err(PluginError::new("http_post_username can't contain a colon"));
        }
        let file = if !token.as_os_str().is_empty() {
            let setting = "http_post_bearer_token_file";
            Some(SecretFile { setting, path: token, kind: SecretKind::Token })
        } else if has_file {
            let setting = "http_post_password_file";
            Some(SecretFile { setting, path: password_file, kind: SecretKind::PasswordOf(user) })
        } else {
            None
        };
        let value = match &file {
            Some(file) => {
                warn_if_readable(file.setting, &file.path);
                Some(file.read()?)
            }
            None if !settings.http_post_username.is_empty() => Some(basic(
                "http_post_password",
                settings.http_post_username.as_bytes(),
                settings.http_post_password.as_bytes(),
            )?),
            None => of_url,
        };
        Ok(Authorization { file, value: Mutex::new(value) })
    }

    /// What the header says now, if there is one.
    pub(crate) fn value(&self) -> Option<HeaderValue> {
        self.lock().clone()
    }

    /// Reads the file again, after the server did not believe `told`; true if something
    /// else is to be said now.
    pub(crate) fn renew(&self, told: Option<&HeaderValue>) -> bool {
        let Some(file) = &self.file else { return false };
        match file.read() {
            Ok(value) => {
                let is_new = Some(&value) != told;
                *self.lock() = Some(value);
                is_new
            }
            Err(error) => {
                // The host's log limits how often.
                log::warn!("{error}");
                false
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<HeaderValue>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecretFile {
    fn read(&self) -> Result<HeaderValue, PluginError> {
        let error = |why: &str| {
            PluginError::new(format!("{} {}: {why}", self.setting, self.path.display()))
        };
        let mut bytes = Vec::new();
        fs::File::open(&self.path)
            .and_then(|file| file.take(SECRET_MAX + 1).read_to_end(&mut bytes))
            .map_err(|why| error(&why.to_string()))?;
        let secret = bytes.trim_ascii();
        if secret.is_empty() {
            return Err(error("is empty"));
        }
        if bytes.len() as u64 > SECRET_MAX {
            return Err(error("is too long for a secret"));
        }
        match &self.kind {
            SecretKind::PasswordOf(user) => {
                // Blanks may be part of a password; the end of the line is not.
                let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r'));
                basic(self.setting, user.as_bytes(), &bytes[..=end.unwrap_or(0)])
            }
            SecretKind::Token => {
                if !secret.iter().all(u8::is_ascii_graphic) {
                    return Err(error("is not a token: it has blanks or other than ASCII in it"));
                }
                sensitive(self.setting, &[b"Bearer ", secret].concat())
            }
        }
    }
}

/// Warns of a file that others than its owner and group may read.
pub(crate) fn warn_if_readable(setting: &str, path: &Path) {
    if fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 != 0) {
        log::warn!(
            "{setting} {}: every user of this machine may read it: chmod o-r",
            path.display()
        );
    }
}

/// Basic authentication (RFC 7617) by the user and password in the URL.
fn of_url(url: &Uri) -> Result<Option<HeaderValue>, PluginError> {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let Some((user_and_password, _)) = authority.rsplit_once('@') else { return Ok(None) };
    let (user, password) = user_and_password.split_once(':').unwrap_or((user_and_password, ""));
    let decoded = |text| percent_decode_str(text).collect::<Vec<u8>>();
    basic("http_post_url", &decoded(user), &decoded(password)).map(Some)
}

/// Basic authentication by this user.
///
/// # Errors
///
/// When it can't stand in a header.
pub(crate) fn basic(
    setting: &str,
    user: &[u8],
    password: &[u8],
) -> Result<HeaderValue, PluginError> {
    let both = BASE64_STANDARD.encode([user, b":", password].concat());
    sensitive(setting, format!("Basic {both}").as_bytes())
}

fn sensitive(setting: &str, value: &[u8]) -> Result<HeaderValue, PluginError> {
    let mut value = HeaderValue::from_bytes(value)
        .map_err(|_| PluginError::new(format!("{setting} can't stand in an HTTP header")))?;
    value.set_sensitive(true);
    Ok(value)
}
