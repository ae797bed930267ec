//! Three servers that share one store by raft: one active, two standbys.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Process, free_ports};
use super::{
    Admin, Policy, Prefix, VaultUser, certificates, initialise, listener, mount, scratch, start_configured,
    unseal,
};

/// One of the three.
struct Node {
    admin: Admin,
    process: Process,
}

/// A cluster of three; it ends with this value.
pub struct Raft {
    nodes: Vec<Node>,
    _folder: TempDir,
}

impl Raft {
    /// Starts three servers and joins them; all are unsealed and the first one is active.
    pub fn start() -> Self {
        let folder = scratch();
        let certificates = certificates::make(folder.path());
        let mut nodes: Vec<Node> = Vec::new();
        while nodes.len() < 3 {
            let (name, port) = (format!("node{}", nodes.len()), free_ports());
            let data = folder.path().join(&name);
            // A directory of an attempt whose port was taken can be used again.
            std::fs::create_dir_all(&data).expect("a folder for the node");
            let admin = Admin {
                prefix: Prefix::default(),
                address: format!("https://127.0.0.1:{port}"),
                ca_cert: Some(certificates.ca.clone()),
                token: String::new(),
            };
            let config = json!({
                "storage": { "raft": { "path": data, "node_id": name } },
                "listener": listener(port, &certificates),
                "api_addr": admin.address,
                "cluster_addr": format!("https://127.0.0.1:{}", port + 1),
                "disable_mlock": true,
            });
            let mut process = start_configured(&Prefix::default(), &config, folder.path(), &name, &[]);
            if process.wait_until(|| admin.ask("GET", "sys/health", None).status == 501) {
                nodes.push(Node { admin, process });
            }
        }
        let mut cluster = Self { nodes, _folder: folder };
        cluster.join(&std::fs::read_to_string(&certificates.ca).expect("the CA"));
        cluster
    }

    fn join(&mut self, ca: &str) {
        let key = initialise(&mut self.nodes[0].admin);
        unseal(&self.nodes[0].admin, &key);
        mount(&self.nodes[0].admin);
        let leader = self.nodes[0].admin.clone();
        let autopilot = json!({ "server_stabilization_time": "500ms" });
        leader.send_ok("POST", "sys/storage/raft/autopilot/configuration", &autopilot);
        let Admin { address, token, .. } = leader;
        for node in &mut self.nodes[1..] {
            node.admin.token.clone_from(&token);
            let leader = json!({ "leader_api_addr": address, "leader_ca_cert": ca });
            node.admin.eventually("POST", "sys/storage/raft/join", &leader);
            unseal(&node.admin, &key);
        }
        for node in 0..3 {
            self.wait_for(Duration::from_secs(40), || {
                self.nodes[node].admin.ask("GET", "secret/config", None).status == 200
            });
        }
    }

    /// Returns a client of the active node.
    pub fn active(&self) -> &Admin {
        &self.nodes[self.active_index()].admin
    }

    /// Returns a client of a standby node.
    pub fn standby(&self) -> &Admin {
        let active = self.active_index();
        &self.nodes[(active + 1) % 3].admin
    }

    /// Creates a user with this policy and a token, whose requests go to a standby.
    pub fn user_at_standby(&self, user: &str, policy: Policy) -> VaultUser {
        let vault_user = VaultUser::provision(self.standby(), user, policy);
        // The policy and the token must reach the standby first.
        self.wait_for(Duration::from_secs(10), || {
            let lookup = vault_user.user_client().ask("GET", "auth/token/lookup-self", None);
            lookup.status == 200
                && vault_user.user_client().ask("GET", &vault_user.path("data"), None).status == 404
        });
        vault_user
    }

    /// Kills the active node, as a power failure would, once the others can elect a new one. That
    /// takes fifteen seconds: a node that joins has no vote at first.
    pub fn kill_active_node(&mut self) {
        let active = self.active_index();
        self.wait_for(Duration::from_secs(60), || {
            let answer = self.nodes[active].admin.ask("GET", "sys/storage/raft/configuration", None).body;
            let servers = answer["data"]["config"]["servers"].as_array().cloned().unwrap_or_default();
            servers.len() == 3 && servers.iter().all(|server| server["voter"] == Value::Bool(true))
        });
        self.nodes[active].process.kill();
    }

    /// Waits for an election if there is one.
    fn active_index(&self) -> usize {
        let is_active = |node: &Node| {
            let leader = node.admin.ask("GET", "sys/leader", None);
            leader.body["is_self"] == Value::Bool(true)
        };
        let mut active = None;
        self.wait_for(Duration::from_secs(40), || {
            active = self.nodes.iter().position(is_active);
            active.is_some()
        });
        active.expect("waited for it")
    }

    fn wait_for(&self, span: Duration, mut is_so: impl FnMut() -> bool) {
        let started = Instant::now();
        while !is_so() {
            assert!(started.elapsed() < span, "the cluster did not get there within {span:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
