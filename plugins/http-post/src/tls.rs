//! Whom to trust, and who we say we are.

use std::{fs, path::Path, sync::Arc};

use fantail_sdk::PluginError;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::{Settings, secrets::warn_if_readable};

/// Reads the certificates that the settings name, or the system's.
pub(crate) fn config(settings: &Settings) -> Result<TlsConfig, PluginError> {
    let roots = if !settings.ssl_client_require_valid_cert {
        Vec::new()
    } else if settings.ssl_client_ca_file.as_os_str().is_empty() {
        system_roots()?
    } else {
        certificates("ssl_client_ca_file", &settings.ssl_client_ca_file)?
    };
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&roots))
        .disable_verification(!settings.ssl_client_require_valid_cert)
        .client_cert(client_cert(settings)?)
        .build())
}

fn system_roots() -> Result<Vec<Certificate<'static>>, PluginError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map_or(String::new(), |error| format!(" ({error})"));
        return Err(PluginError::new(format!(
            "the system has no certificates of authorities{why}: set ssl_client_ca_file"
        )));
    }
    Ok(found.certs.iter().map(|cert| Certificate::from_der(cert).to_owned()).collect())
}

fn client_cert(settings: &Settings) -> Result<Option<ClientCert>, PluginError> {
    let (cert, key) = (&settings.ssl_client_cert_file, &settings.ssl_client_key_file);
    match (cert.as_os_str().is_empty(), key.as_os_str().is_empty()) {
        (true, true) => Ok(None),
        (false, false) => {
            let chain = certificates("ssl_client_cert_file", cert)?;
            let pem = read("ssl_client_key_file", key)?;
            warn_if_readable("ssl_client_key_file", key);
            let key = PrivateKey::from_pem(&pem).map_err(|_| {
                PluginError::new(format!("ssl_client_key_file {}: no private key", key.display()))
            })?;
            Ok(Some(ClientCert::new_with_certs(&chain, key)))
        }
        _ => Err(PluginError::new("ssl_client_cert_file and ssl_client_key_file go together")),
    }
}

fn certificates(setting: &str, path: &Path) -> Result<Vec<Certificate<'static>>, PluginError> {
    let pem = read(setting, path)?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(PluginError::new(format!("{setting} {}: no certificate", path.display())));
    }
    Ok(certificates)
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>, PluginError> {
    fs::read(path)
        .map_err(|error| PluginError::new(format!("{setting} {}: {error}", path.display())))
}
