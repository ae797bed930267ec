//! A certificate authority that exists for one test: servers on loopback present its leaf
//! certificates, and only a client that was given its certificate trusts them. Its key never leaves
//! the process.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A new authority with its key in memory.
pub struct TlsAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl TlsAuthority {
    /// Creates an authority whose subject is the common name `name`.
    ///
    /// # Panics
    /// If the system provides no random numbers.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a new P-256 key");
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = parameters.self_signed(&key).expect("a self-signed certificate");
        Self { certificate_pem: certificate.pem(), issuer: Issuer::new(parameters, key) }
    }

    /// Returns the certificate of the authority for clients to trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Writes the CA's certificate (never its key) to `DIRECTORY/ca.pem`, readable by every user.
    ///
    /// # Errors
    /// The error of creating the file.
    pub fn write_to(&self, directory: &Path) -> io::Result<PathBuf> {
        write_file(directory.join("ca.pem"), &self.certificate_pem, 0o644)
    }

    /// Returns a server certificate for `names`: host names and IP addresses.
    ///
    /// # Panics
    /// If a name is not valid in a certificate.
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let parameters = CertificateParams::new(names).expect("names that a certificate can hold");
        let key = KeyPair::generate().expect("a new P-256 key");
        let certificate =
            parameters.signed_by(&key, &self.issuer).expect("a certificate signed by the authority");
        Leaf { certificate: certificate.der().clone(), certificate_pem: certificate.pem(), key }
    }
}

/// A server's certificate and its key.
pub struct Leaf {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: KeyPair,
}

impl Leaf {
    /// Writes `DIRECTORY/NAME.pem` (0644) and `DIRECTORY/NAME.key` (0600, PKCS#8), and returns the
    /// two paths.
    ///
    /// # Errors
    /// Errors of creating the files.
    pub fn write_to(&self, directory: &Path, name: &str) -> io::Result<(PathBuf, PathBuf)> {
        let certificate = write_file(directory.join(format!("{name}.pem")), &self.certificate_pem, 0o644)?;
        let key = write_file(directory.join(format!("{name}.key")), &self.key.serialize_pem(), 0o600)?;
        Ok((certificate, key))
    }

    /// Returns the rustls configuration of a server with this certificate; HTTP/1.1 only, no client
    /// certificates.
    ///
    /// # Panics
    /// If key and certificate do not fit, which [`TlsAuthority::leaf`] rules out.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .expect("the key belongs to the certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

fn write_file(path: PathBuf, text: &str, mode: u32) -> io::Result<PathBuf> {
    fs::write(&path, "")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    fs::write(&path, text)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use rustls::pki_types::pem::PemObject;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection, StreamOwned};

    /// Makes one TLS connection to a server with `leaf`, by a client that trusts `trusted` and
    /// expects `name`.
    fn greeting(leaf: &Leaf, trusted: &TlsAuthority, name: &'static str) -> io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let config = leaf.server_config();
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept()?;
            let connection = ServerConnection::new(config).map_err(io::Error::other)?;
            let mut stream = StreamOwned::new(connection, stream);
            stream.write_all(b"hello")?;
            stream.conn.send_close_notify();
            stream.flush()
        });
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(trusted.certificate_pem().as_bytes());
        roots.add(authority.map_err(io::Error::other)?).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = name.try_into().map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut text = String::new();
        let result = StreamOwned::new(connection, TcpStream::connect(address)?).read_to_string(&mut text);
        drop(server.join());
        result.map(|_| text)
    }

    #[test]
    fn client_without_the_ca_or_the_name_is_rejected() {
        let authority = TlsAuthority::new("test");
        let leaf = authority.leaf(&["api.example.com", "127.0.0.1"]);
        assert_eq!(greeting(&leaf, &authority, "api.example.com").expect("trusted"), "hello");
        assert_eq!(greeting(&leaf, &authority, "127.0.0.1").expect("trusted by address"), "hello");
        assert!(greeting(&leaf, &authority, "other.example.com").is_err());
        assert!(greeting(&leaf, &TlsAuthority::new("another"), "api.example.com").is_err());
    }
}
