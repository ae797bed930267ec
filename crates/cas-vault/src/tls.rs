//! TLS with the configured CA alone, or with the system's. The provider is ring, named here instead
//! of a process-wide default. Nothing is read from the environment.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use cas_core::fs::regular_file::{self, OpenError};
use cas_core::store::StoreError;

/// The CA bundle of Debian's package `ca-certificates`.
const SYSTEM_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The largest CA file, in bytes. The bundle has about 220 KB.
const MAX_LEN: usize = 4 << 20;

/// Returns the TLS configuration. Without encryption (to this machine only) no CA file is read.
pub(super) fn client_config(is_encrypted: bool, ca_cert: Option<&Path>) -> Result<ClientConfig, StoreError> {
    let roots = match (is_encrypted, ca_cert) {
        (false, _) => RootCertStore::empty(),
        (true, Some(path)) => trusted(path)?,
        (true, None) => trusted(Path::new(SYSTEM_BUNDLE))?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&format!("cannot use TLS: {error}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Loads the certificates in a PEM file. Unusable ones are skipped, as the system's tools do.
fn trusted(path: &Path) -> Result<RootCertStore, StoreError> {
    let problem = |what: &str| unusable(&format!("the CA file {} {what}", path.display()));
    let pem = match regular_file::read(path, MAX_LEN) {
        Ok(Some(pem)) => pem,
        Ok(None) => return Err(problem("is missing")),
        Err(OpenError::NotRegular | OpenError::Link) => return Err(problem("is not a regular file")),
        Err(OpenError::TooLarge) => return Err(problem("is longer than 4 MiB")),
        Err(OpenError::Failed(error)) => return Err(problem(&format!("cannot be read: {error}"))),
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if roots.is_empty() {
        return Err(problem("has no certificate in PEM form"));
    }
    Ok(roots)
}

fn unusable(reason: &str) -> StoreError {
    StoreError::Misconfigured {
        reason: reason.to_owned(),
        remedy: "correct vault.ca_cert (or VAULT_CACERT), or install the package ca-certificates".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_ca_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "no certificate\n").unwrap();
        for path in [&empty, &folder.path().join("missing"), folder.path()] {
            let failure = client_config(true, Some(path)).unwrap_err().to_string();
            assert!(failure.contains(&path.display().to_string()), "{failure}");
            assert!(failure.contains("VAULT_CACERT"), "{failure}");
            assert!(client_config(false, Some(path)).is_ok());
        }
    }
}
