//! What files say to whom an input listens: tokens and certificates.

use std::{
    fmt, fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use sha2::{Digest, Sha256};

/// The most bytes of such a file.
const FILE_MAX: u64 = 1 << 20;

/// The files, where there are any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretFiles {
    /// Tokens, one a line: whoever knows one may send.
    pub tokens: Option<PathBuf>,
    /// Our certificate and its chain (PEM): then TLS is spoken.
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    pub key: Option<PathBuf>,
    /// The authorities (PEM) that may have signed the peers' certificates: then peers need one.
    pub authorities: Option<PathBuf>,
}

/// What stands in the files. Two of them are equal when the files say the same.
#[derive(Clone)]
pub struct Secrets {
    /// The digests of the tokens; empty: none is asked for.
    tokens: Vec<[u8; 32]>,
    /// How TLS is spoken, if it is.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// The digest of the authorities that peers' certificates must have, if they must.
    authorities: Option<[u8; 32]>,
    /// The digest of all that was read.
    digest: [u8; 32],
}

impl Secrets {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// When one can't be read or is not what it should be: with the setting's name and the path.
    pub fn read(files: &SecretFiles) -> Result<Self, String> {
        let mut all = Sha256::new();
        let mut read = |setting: &str, path: &Option<PathBuf>| match path {
            None => Ok(None),
            Some(path) => {
                let bytes = read(setting, path)?;
                all.update(Sha256::digest(&bytes));
                Ok::<_, String>(Some(bytes))
            }
        };
        let tokens = read("http_bearer_token_file", &files.tokens)?;
        let certificate = read("ssl_server_cert_file", &files.certificate)?;
        let key = read("ssl_server_key_file", &files.key)?;
        let authorities = read("ssl_server_ca_file", &files.authorities)?;
        let authorities_digest = authorities.as_deref().map(|pem| Sha256::digest(pem).into());
        let tls = match (certificate, key) {
            (Some(certificate), Some(key)) => {
                Some(server_config(&certificate, &key, authorities.as_deref())?)
            }
            (None, None) if authorities.is_none() => None,
            (None, None) => {
                return Err("ssl_server_ca_file needs ssl_server_cert_file".into());
            }
            _ => return Err("ssl_server_cert_file and ssl_server_key_file go together".into()),
        };
        let tokens = tokens.as_deref().map(digests).transpose()?.unwrap_or_default();
        Ok(Secrets {
            tokens,
            tls: tls.map(Arc::new),
            authorities: authorities_digest,
            digest: all.finalize().into(),
        })
    }

    /// Whether a connection that could begin with `before` could begin with these.
    pub(super) fn allow_connections_of(&self, before: &Secrets) -> bool {
        let same_authorities = self.authorities == before.authorities || self.authorities.is_none();
        same_authorities && (before.tls.is_some() || self.tls.is_none())
    }

    /// Whether a request may be made with these values of `Authorization`. How long that takes says
    /// nothing about the tokens.
    pub(super) fn admit<'a>(&self, mut authorizations: impl Iterator<Item = &'a [u8]>) -> bool {
        if self.tokens.is_empty() {
            return true;
        }
        let (Some(authorization), None) = (authorizations.next(), authorizations.next()) else {
            return false;
        };
        let Some((scheme, token)) = authorization.split_at_checked(7) else { return false };
        let said: [u8; 32] = Sha256::digest(token.trim_ascii()).into();
        let is_known = self.tokens.iter().fold(false, |known, token| {
            let differing = token.iter().zip(&said).fold(0, |all, (one, other)| all | one ^ other);
            known | (differing == 0)
        });
        scheme.eq_ignore_ascii_case(b"bearer ") && is_known
    }
}

impl PartialEq for Secrets {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Secrets {}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tokens, tls) = (self.tokens.len(), self.tls.is_some());
        f.debug_struct("Secrets").field("tokens", &tokens).field("tls", &tls).finish()
    }
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |why: &dyn fmt::Display| format!("{setting} {}: {why}", path.display());
    let file = fs::File::open(path).map_err(|error| wrong(&error))?;
    let is_secret = matches!(setting, "http_bearer_token_file" | "ssl_server_key_file");
    let mode = file.metadata().map_or(0, |status| status.permissions().mode());
    if is_secret && mode & 0o004 != 0 {
        let path = path.display();
        log::warn!("{setting} {path}: every user of this machine may read it: chmod o-r");
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
    if bytes.len() as u64 > FILE_MAX { Err(wrong(&"larger than 1 MiB")) } else { Ok(bytes) }
}

fn digests(file: &[u8]) -> Result<Vec<[u8; 32]>, String> {
    let lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let tokens = lines.filter(|line| !line.is_empty());
    let digests: Vec<[u8; 32]> = tokens.map(|token| Sha256::digest(token).into()).collect();
    // A file that somebody has emptied must not open the door.
    if digests.is_empty() { Err("http_bearer_token_file: no token".into()) } else { Ok(digests) }
}

fn server_config(
    certificate: &[u8],
    key: &[u8],
    authorities: Option<&[u8]>,
) -> Result<ServerConfig, String> {
    let chain = certificates("ssl_server_cert_file", certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| "ssl_server_key_file: no private key".to_owned())?;
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = match authorities {
        None => config.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates("ssl_server_ca_file", authorities)? {
                roots.add(authority).map_err(|error| format!("ssl_server_ca_file: {error}"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| format!("ssl_server_ca_file: {error}"))?;
            config.with_client_cert_verifier(verifier)
        }
    };
    config
        .with_single_cert(chain, key)
        .map_err(|error| format!("ssl_server_cert_file and ssl_server_key_file: {error}"))
}

fn certificates(setting: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("{setting}: no certificate")),
        Err(error) => Err(format!("{setting}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{SecretFiles, Secrets};

    #[test]
    fn a_token_opens_the_door() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        let open = |content: &str| {
            fs::write(&path, content).unwrap();
            Secrets::read(&SecretFiles { tokens: Some(path.clone()), ..SecretFiles::default() })
        };
        let secrets = open("one\n\n two \n").unwrap();
        let check = |values: &[&str], expected: bool| {
            let found = secrets.admit(values.iter().map(|value| value.as_bytes()));
            assert_eq!(found, expected, "{values:?}");
        };
        check(&["Bearer one"], true);
        check(&["bearer  two"], true);
        check(&[], false);
        check(&["one"], false);
        check(&["Bearer"], false);
        check(&["Bearer on"], false);
        check(&["Bearer one two"], false);
        check(&["Basic one"], false);
        check(&["Bearer one", "Bearer one"], false);
        assert!(Secrets::read(&SecretFiles::default()).unwrap().admit(std::iter::empty()));

        assert!(open("one\n\n two \n").unwrap() == secrets);
        assert!(open("one\n").unwrap() != secrets);
        assert!(open("\n").unwrap_err().contains("no token"));
        fs::remove_file(&path).unwrap();
        let files = SecretFiles { tokens: Some(path.clone()), ..SecretFiles::default() };
        let error = Secrets::read(&files).unwrap_err();
        assert!(error.contains("http_bearer_token_file") && error.contains("tokens"), "{error}");
    }

    #[test]
    fn what_belongs_together_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        let some = Some(path);
        let check = |files: SecretFiles, expected: &str| {
            let error = Secrets::read(&files).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        let none = SecretFiles::default();
        check(SecretFiles { certificate: some.clone(), ..none.clone() }, "go together");
        check(SecretFiles { key: some.clone(), ..none.clone() }, "go together");
        check(SecretFiles { authorities: some.clone(), ..none.clone() }, "needs ssl_server_cert");
        let both = SecretFiles { certificate: some.clone(), key: some, ..none };
        check(both, "ssl_server_cert_file: no certificate");
    }
}
