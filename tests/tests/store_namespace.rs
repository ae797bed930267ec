//! The fixture of the store suites itself: where its servers can run.

use std::process::{Child, Command};

use cas_tests::openbao::{Bao, Policy, Prefix};
use serde_json::json;

/// A network with only loopback, for the lifetime of this value.
struct Network(Child);

impl Network {
    fn new() -> Self {
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "unshare", "--net", "sh", "-c"])
            .arg("ip link set lo up && echo up > \"$1\" && exec sleep 120")
            .args(["sh", "/dev/stdout"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut word = [0; 2];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut word).unwrap();
        Self(child)
    }

    fn prefix(&self) -> Prefix {
        let words = ["nsenter", "-t", &self.0.id().to_string(), "-n", "--"];
        Prefix(words.map(str::to_owned).to_vec())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The error is that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn server_in_another_namespace_is_reachable_only_there() {
    let network = Network::new();
    for bao in [Bao::dev_behind(&network.prefix()), Bao::tls_behind(&network.prefix())] {
        let alice = bao.create_user("alice", Policy::Patch);
        alice.put_document(&json!({ "theirs": 1 }));
        assert_eq!(alice.document().body["data"]["data"], json!({ "theirs": 1 }));
        let authority = bao.address().rsplit_once("//").unwrap().1;
        assert!(std::net::TcpStream::connect(authority).is_err(), "it is here as well");
    }
}
