//! `http://` to this host: the token is sent only to a process of root, of the configured user, or
//! of the user. Other processes may listen anywhere. The tests need root, to become other users.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use cas_core::store::{Store, StoreError};
use cas_protocol::deadline::Deadline;
use cas_tests::vault_fake::VaultFake;
use cas_vault::{ServerUrl, VaultConfig, VaultStore};
use nix::unistd::{Uid, User};

const SPAN: Duration = Duration::from_secs(5);

/// The number of concurrent readers, and of reads of each.
const READERS: usize = 8;
const READS: usize = 40;

/// A user of every Debian, and one that does not exist.
const DAEMON: &str = "daemon";
const OTHER_UID: u32 = 54_321;

/// Listens at `address` and accepts one connection as this user, after a while. Returns the port,
/// and everything that was sent.
fn listen_as(uid: u32, address: &str, delay: Duration) -> (u16, Receiver<Vec<u8>>) {
    let (sender, receiver) = channel();
    let (port_sender, port) = channel();
    let address = format!("{address}:0");
    thread::spawn(move || {
        // For this thread only: the kernel gives a socket the file system user id of the process.
        nix::unistd::setfsuid(Uid::from_raw(uid));
        let listener = TcpListener::bind(address).expect("a free port");
        port_sender.send(listener.local_addr().expect("an address").port()).expect("the test waits");
        thread::sleep(delay);
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut output = Vec::new();
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
        let mut piece = [0; 4096];
        while let Ok(count) = stream.read(&mut piece) {
            output.extend_from_slice(&piece[..count]);
            if count == 0 || output.ends_with(b"\r\n\r\n") {
                break;
            }
        }
        let _ = sender.send(output);
    });
    (port.recv().expect("it listens"), receiver)
}

/// Returns the error of a store at this URL, with the token of the fake.
fn read(url: &str, agent_user: Option<&str>) -> StoreError {
    let fake = VaultFake::start("alice");
    let folder = tempfile::tempdir().expect("a scratch directory");
    let config = VaultConfig {
        address: ServerUrl::parse(url).expect("an address"),
        agent_user: agent_user.map(str::to_owned),
        ..fake.config("alice", folder.path())
    };
    VaultStore::new(config).read(&Deadline::after(SPAN)).expect_err("no real server")
}

/// Every way to reach a listener, and its address.
const WAYS: [(&str, &str); 7] = [
    ("127.0.0.1", "127.0.0.1"),
    ("127.0.0.1", "0.0.0.0"),
    ("127.0.0.1", "[::]"),
    ("127.7.7.7", "127.7.7.7"),
    ("[::1]", "[::1]"),
    ("localhost", "127.0.0.1"),
    ("localhost", "[::1]"),
];

#[test]
fn token_is_not_sent_to_another_user() {
    for (host, listening) in WAYS {
        for agent in [None, Some(DAEMON)] {
            let (port, output) = listen_as(OTHER_UID, listening, Duration::ZERO);
            let refused = read(&format!("http://{host}:{port}"), agent);
            assert!(matches!(refused, StoreError::Refused { .. }), "{host} {listening}: {refused}");
            let text = refused.to_string();
            assert!(text.contains("a process of user id 54321 listens there"), "{host} {listening}: {text}");
            assert!(text.contains("use https://, or set vault.agent_user"), "{text}");
            assert_eq!(output.recv().expect("it was connected to"), b"", "{host} {listening}");
        }
    }
}

#[test]
fn token_is_sent_to_root_and_to_the_configured_user() {
    let daemon = User::from_name(DAEMON).expect("a user database").expect("Debian has it").uid.as_raw();
    for (host, listening) in WAYS {
        for (uid, agent) in [(0, None), (0, Some(DAEMON)), (daemon, Some(DAEMON))] {
            let (port, output) = listen_as(uid, listening, Duration::ZERO);
            let url = format!("http://{host}:{port}");
            let failed = thread::spawn(move || read(&url, agent));
            let output = String::from_utf8(output.recv().expect("it was connected to")).expect("text");
            assert!(output.contains("x-vault-token: "), "{host} {listening} {uid}: {output}");
            assert!(matches!(failed.join().expect("it ended"), StoreError::Unreachable { .. }));
        }
    }
}

/// Until a process accepts a connection, its socket has no user.
#[test]
fn token_is_not_sent_before_the_connection_is_accepted() {
    let (port, output) = listen_as(OTHER_UID, "127.0.0.1", Duration::from_millis(500));
    let refused = read(&format!("http://127.0.0.1:{port}"), None).to_string();
    assert!(refused.contains("user id 54321"), "{refused}");
    assert_eq!(output.recv().expect("it was connected to"), b"");

    let (port, output) = listen_as(OTHER_UID, "127.0.0.1", Duration::from_secs(3));
    // A user who listens and does not accept delays nothing.
    let refused = read(&format!("http://127.0.0.1:{port}"), None).to_string();
    assert!(refused.contains("user id 54321"), "{refused}");
    assert_eq!(output.recv().expect("it was connected to"), b"");
}

/// The listener at the time of a check is not always the one to which a connection was made.
#[test]
fn listener_of_root_does_not_authorize_another_connection() {
    let stranger = thread::spawn(|| {
        nix::unistd::setfsuid(Uid::from_raw(OTHER_UID));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    });
    let (listener, address) = stranger.join().expect("it listens");
    let accepting = thread::spawn(move || {
        nix::unistd::setfsuid(Uid::from_raw(OTHER_UID));
        let (mut stream, _): (TcpStream, _) = listener.accept().expect("a connection");
        drop(listener);
        nix::unistd::setfsuid(Uid::from_raw(0));
        let _of_root = TcpListener::bind(address).expect("the port is free again");
        let mut output = Vec::new();
        stream.read_to_end(&mut output).expect("the end");
        output
    });
    let refused = read(&format!("http://{address}"), None).to_string();
    assert!(refused.contains("user id 54321"), "{refused}");
    assert_eq!(accepting.join().expect("it ended"), b"");
}

#[test]
fn missing_agent_user_is_named() {
    let failed = read("http://127.0.0.1:9", Some("no-such-user"));
    assert!(matches!(failed, StoreError::Misconfigured { .. }), "{failed}");
    assert!(failed.to_string().contains("vault.agent_user \"no-such-user\" is not a user"), "{failed}");
}

/// A connection of the same process that its server has just closed has no peer. It must not be
/// taken for the connection that is checked.
#[test]
fn token_is_sent_while_other_connections_end() {
    let fake = VaultFake::start("alice");
    let folder = tempfile::tempdir().expect("a scratch directory");
    let config = fake.config("alice", folder.path());
    let read = || VaultStore::new(config.clone()).read(&Deadline::after(SPAN));
    let failures: Vec<String> = thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| scope.spawn(|| (0..READS).filter_map(|_| read().err()).collect::<Vec<_>>()))
            .collect();
        let failed = readers.into_iter().flat_map(|reader| reader.join().expect("no panic"));
        failed.map(|error| error.to_string()).collect()
    });
    assert_eq!(failures, [""; 0], "{} of {}", failures.len(), READERS * READS);
}
