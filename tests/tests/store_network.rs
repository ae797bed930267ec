//! Obstacles between a run and its server: redirections, proxies, certificates, name servers and
//! unresponsive hosts.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use cas_core::store::{Fields, Store, StoreError};
use cas_protocol::deadline::Deadline;
use cas_tests::openbao::{Bao, Policy};
use cas_tests::slowdown;
use cas_tests::vault_fake::{Answer, Fault, VaultFake};
use cas_vault::{ProxyAddress, ServerUrl, VaultConfig, VaultStore};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket,
};
use serde_json::json;

const SPAN: Duration = Duration::from_millis(500);

/// Returns how much later than the deadline an answer may be here, where other tests use the
/// machine as well.
fn slack() -> Duration {
    Duration::from_millis(150).mul_f64(slowdown())
}

fn unreachable(outcome: Result<cas_core::store::Document, StoreError>) -> String {
    match outcome {
        Err(failure @ StoreError::Unreachable { .. }) => failure.to_string(),
        other => panic!("not unreachable: {other:?}"),
    }
}

#[test]
fn redirection_never_forwards_the_token() {
    let elsewhere = VaultFake::start("alice");
    let folder = tempfile::tempdir().unwrap();
    for status in [301, 302, 303, 307, 308] {
        for pattern in ["lookup-self", "GET /v1/secret", "PUT /v1/secret"] {
            let fake = VaultFake::start("alice");
            let answer = Answer::new(status, "").with("Location", format!("{}/v1/", elsewhere.address()));
            fake.fail(pattern, Fault::Answer(answer));
            let mut store = VaultStore::new(fake.config("alice", folder.path()));
            let changes: Fields = serde_json::from_value(json!({ "ours": "x" })).unwrap();
            let failure = store.merge(&changes, 0, &Deadline::after(SPAN * 20)).unwrap_err().to_string();
            assert!(
                failure.contains("redirected to ") || failure.contains("the response to http"),
                "{failure}"
            );
        }
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// Accepts connections, forwards the first line of each, and closes them.
fn listening() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut text = String::new();
            let mut reader = BufReader::new(&stream);
            while reader.read_line(&mut text).is_ok_and(|length| length > 2) {}
            if sender.send(text).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

fn read_once(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_store-read-once"));
    command.args(arguments).env_clear().envs(environment.iter().copied()).output().unwrap()
}

#[test]
fn proxies_in_the_environment_are_not_used() {
    let bao = Bao::tls();
    let alice = bao.create_user("alice", Policy::Patch);
    let fake = VaultFake::start("alice");
    let folder = tempfile::tempdir().unwrap();
    let fake_token = fake.config("alice", folder.path()).token_file;
    let (proxy, requests) = listening();
    let names = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    let environment: Vec<(&str, &str)> = names.iter().map(|name| (*name, proxy.as_str())).collect();
    for (address, ca, token_file) in [
        (bao.address().to_owned(), bao.ca_cert().unwrap().to_str().unwrap(), alice.token_file()),
        (fake.address(), "-", fake_token),
    ] {
        let memory = folder.path().join("memory");
        let paths = [token_file.to_str().unwrap(), memory.to_str().unwrap()];
        let output = read_once(&[&address, ca, "alice", paths[0], paths[1], "5000"], &environment);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.starts_with("version=0 requests=2"), "{text}{output:?}");
    }
    assert!(requests.try_recv().is_err());
}

#[test]
fn ca_in_the_environment_is_not_trusted() {
    let bao = Bao::tls();
    let alice = bao.create_user("alice", Policy::Patch);
    let folder = tempfile::tempdir().unwrap();
    let (memory, token_file) = (folder.path().join("memory"), alice.token_file());
    let paths = [token_file.to_str().unwrap(), memory.to_str().unwrap()];
    let ca = bao.ca_cert().unwrap().to_str().unwrap();
    let environment = [("SSL_CERT_FILE", ca), ("VAULT_CACERT", ca)];
    let output = read_once(&[bao.address(), "-", "alice", paths[0], paths[1], "5000"], &environment);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("invalid peer certificate"), "{text}{output:?}");
}

#[test]
fn configured_proxy_gets_connect_and_sees_no_token() {
    let bao = Bao::tls();
    let alice = bao.create_user("alice", Policy::Patch);
    let (proxy, requests) = listening();
    let config = VaultConfig { proxy: Some(ProxyAddress::parse(&proxy).unwrap()), ..alice.config() };
    let failure = unreachable(VaultStore::new(config).read(&Deadline::after(SPAN)));
    let request = requests.recv_timeout(Duration::from_secs(5)).unwrap();
    let host = bao.address().trim_start_matches("https://");
    assert!(request.starts_with(&format!("CONNECT {host} ")), "{request}");
    assert!(!request.contains(&alice.token()) && !failure.contains(&alice.token()), "{request}{failure}");
}

#[test]
fn server_with_an_untrusted_certificate_gets_no_token() {
    let bao = Bao::tls();
    let other = Bao::tls();
    let alice = bao.create_user("alice", Policy::Patch);
    for ca_cert in [other.ca_cert().map(Path::to_owned), None] {
        let config = VaultConfig { ca_cert, ..alice.config() };
        let failure = unreachable(VaultStore::new(config).read(&Deadline::after(SPAN * 4)));
        assert!(
            failure.contains("invalid peer certificate") && failure.contains("VAULT_CACERT"),
            "{failure}"
        );
    }
    // The right CA, but an IP address that is not in the certificate.
    let here = TcpListener::bind("127.0.0.2:0").unwrap();
    let address = ServerUrl::parse(&format!("https://{}", here.local_addr().unwrap())).unwrap();
    let there = bao.address().trim_start_matches("https://").to_owned();
    thread::spawn(move || {
        let (near, _) = here.accept().unwrap();
        let far = TcpStream::connect(there).unwrap();
        let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut &far_too, &mut &near_too));
        std::io::copy(&mut &near, &mut &far)
    });
    let config = VaultConfig { address, ..alice.config() };
    let failure = unreachable(VaultStore::new(config).read(&Deadline::after(SPAN * 4)));
    assert!(failure.contains("not valid for name"), "{failure}");
}

#[test]
fn server_without_tls_gets_no_token() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let fake = VaultFake::start("alice");
    let folder = tempfile::tempdir().unwrap();
    let config =
        VaultConfig { address: ServerUrl::parse(&address).unwrap(), ..fake.config("alice", folder.path()) };
    let output = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = vec![0; 4096];
        let length = stream.read(&mut bytes).unwrap();
        bytes.truncate(length);
        bytes
    });
    unreachable(VaultStore::new(config).read(&Deadline::after(SPAN)));
    let output = String::from_utf8_lossy(&output.join().unwrap()).into_owned();
    assert!(!output.contains("canary") && !output.contains("GET"), "{output:?}");
}

#[test]
fn refused_connection_is_reported_at_once() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let fake = VaultFake::start("alice");
    let folder = tempfile::tempdir().unwrap();
    let address = ServerUrl::parse(&format!("http://127.0.0.1:{port}")).unwrap();
    let started = Instant::now();
    let config = VaultConfig { address, ..fake.config("alice", folder.path()) };
    let failure = unreachable(VaultStore::new(config).read(&Deadline::after(SPAN * 20)));
    assert!(failure.contains("cannot connect: Connection refused"), "{failure}");
    let took = started.elapsed();
    assert!(took < SPAN + slack(), "{took:?}");
}

#[test]
fn unreachable_server_costs_the_deadline() {
    // A socket with a full queue drops every further attempt to connect.
    let hole = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let hole_fd = std::os::fd::AsRawFd::as_raw_fd(&hole);
    bind(hole_fd, &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    listen(&hole, Backlog::new(0).unwrap()).unwrap();
    let address: SockaddrIn = getsockname(hole_fd).unwrap();
    let _in_the_queue = TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).unwrap();

    let fake = VaultFake::start("alice");
    let folder = tempfile::tempdir().unwrap();
    for scheme in ["http", "https"] {
        let address = ServerUrl::parse(&format!("{scheme}://127.0.0.1:{}", address.port())).unwrap();
        let config = VaultConfig { address, ..fake.config("alice", folder.path()) };
        let started = Instant::now();
        let failure = unreachable(VaultStore::new(config.clone()).read(&Deadline::after(SPAN)));
        let took = started.elapsed();
        assert!(took >= SPAN && took < SPAN + slack(), "{failure}: {took:?}");

        // With more time than that it also fails.
        let started = Instant::now();
        unreachable(VaultStore::new(config).read(&Deadline::after(Duration::from_secs(60))));
        let took = started.elapsed();
        assert!(took < Duration::from_secs(3) + slack(), "{took:?}");
    }
}

#[test]
fn unresponsive_name_server_costs_the_deadline() {
    let fake = VaultFake::start("alice");
    let folder = tempfile::tempdir().unwrap();
    let token_file = fake.config("alice", folder.path()).token_file;
    let resolver = folder.path().join("resolv.conf");
    std::fs::write(&resolver, "nameserver 127.0.0.53\noptions timeout:9\n").unwrap();
    // A name server that never responds: its socket is bound and never read.
    let script = r#"
        ip link set lo up && mount --bind "$1" /etc/resolv.conf
        python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.53", 53)); print("deaf", flush=True); time.sleep(60)' &
        shift
        # It says so once it is bound; on a busy machine that takes a while.
        for _ in $(seq 200); do ss --no-header --udp --listening --numeric | grep -q '127.0.0.53:53' && break; sleep 0.1; done
        "$@"
    "#;
    let memory = folder.path().join("memory");
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh"])
        .args([&resolver, Path::new(env!("CARGO_BIN_EXE_store-read-once"))])
        .args(["https://vault.corp.example:8200", "-", "alice"])
        .args([&token_file, &memory])
        .arg(SPAN.as_millis().to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("deaf"), "the name server is not there: {output:?}");
    assert!(text.contains("failure=unreachable: ") && text.contains("no response within"), "{output:?}");
    let took: u128 = text.trim().rsplit_once("ms=").unwrap().1.parse().unwrap();
    assert!(took < (SPAN + slack()).as_millis(), "{text}");
}
