//! The CA of the fixture and the certificate of its server, made by the `openssl` command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The paths of the files.
pub(super) struct Certificates {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Creates a CA in `folder`, and a certificate for loopback that it signed.
pub(super) fn make(folder: &Path) -> Certificates {
    let file = |name: &str| folder.join(name);
    let (ca, ca_key) = (file("ca.pem"), file("ca.key"));
    let (certificate, key) = (file("server.pem"), file("server.key"));
    let extensions = file("extensions.cnf");
    fs::write(&extensions, "subjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost\nextendedKeyUsage=serverAuth\n")
        .expect("writing the extensions");
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    openssl(
        &["req", "-x509", "-days", "2", "-subj", "/CN=claude-auth-sync test CA"],
        &new_key,
        &[("-keyout", &ca_key), ("-out", &ca)],
    );
    let request = file("server.csr");
    openssl(&["req", "-subj", "/CN=bao"], &new_key, &[("-keyout", &key), ("-out", &request)]);
    openssl(
        &["x509", "-req", "-days", "2", "-CAcreateserial"],
        &[],
        &[
            ("-in", &request),
            ("-CA", &ca),
            ("-CAkey", &ca_key),
            ("-extfile", &extensions),
            ("-out", &certificate),
        ],
    );
    Certificates { ca, certificate, key }
}

fn openssl(verb: &[&str], more: &[&str], files: &[(&str, &Path)]) {
    let mut command = Command::new("openssl");
    command.args(verb).args(more);
    for (option, path) in files {
        command.arg(option).arg(path);
    }
    let output = command.output().unwrap_or_else(|error| panic!("openssl: {error}; run `make test-deps`"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
