//! The simulated Anthropic servers as a program in an isolated network, as a guest runs it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_tests::anthropic::{API_HOST, LoggedRequest, Login, control, fingerprint};
use cas_tests::namespaces::Namespaces;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fake-anthropic");

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn server_in_a_network_namespace_is_controlled_from_outside() {
    let directory = tempfile::tempdir().expect("a scratch directory");
    let socket = directory.path().join("control");
    let network = Namespaces::new(Vec::new()).unwrap_or_else(|error| panic!("{error}"));
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--listen", "127.0.0.1:443", "--authority"]).arg(directory.path());
    command.arg("--control").arg(&socket);
    let _program = Program(network.run(move || command.spawn()).expect("started"));
    let deadline = Deadline::after(Duration::from_secs(20));
    while !socket.exists() && !deadline.is_expired() {
        thread::sleep(Duration::from_millis(10));
    }

    let login = send_command(&socket, r#"{"do": "sign_in", "user": "alice", "lifetime": 3600}"#);
    let login: Login = serde_json::from_str(&login).expect("a login");
    let ask = |token: &str| {
        let (authority, token) = (directory.path().join("ca.pem"), token.to_owned());
        network.run(move || ask_as(&authority, &token)).expect("an answer")
    };
    assert!(ask(&login.access_token).starts_with("HTTP/1.1 200 "));
    assert!(ask("sk-ant-oat01-nobody").starts_with("HTTP/1.1 401 "));
    assert_eq!(send_command(&socket, r#"{"do": "revoke", "family": "alice-1"}"#), "true");
    assert!(ask(&login.access_token).starts_with("HTTP/1.1 403 "));

    let requests = control::send_command(&socket, &control::Command::Requests).expect("the log");
    let requests: Vec<LoggedRequest> = serde_json::from_value(requests).expect("a list of requests");
    let tokens: Vec<_> = requests.iter().filter_map(|request| request.token.clone()).collect();
    let expected = [&login.access_token, "sk-ant-oat01-nobody", &login.access_token].map(fingerprint);
    assert_eq!(tokens, expected);
    // Outside that network no server listens.
    assert!(ask_as(&directory.path().join("ca.pem"), "sk-ant-oat01-nobody").is_err());
}

/// Returns the output of the program when it forwards a command.
fn send_command(socket: &Path, command: &str) -> String {
    let text =
        Command::new(PROGRAM).args(["say", "--control"]).arg(socket).arg(command).output().expect("it ran");
    assert!(text.status.success(), "{text:?}");
    String::from_utf8(text.stdout).expect("text").trim().to_owned()
}

fn ask_as(authority: &Path, token: &str) -> io::Result<String> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(authority).map_err(io::Error::other)?;
    roots.add(certificate).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(API_HOST).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, TcpStream::connect("127.0.0.1:443")?);
    let body = r#"{"model": "haiku"}"#;
    write!(
        stream,
        "POST /v1/messages HTTP/1.1\r\nhost: {API_HOST}\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
