//! A simulation of Vault in the test, for faults that a real server cannot produce on demand: it
//! hangs, breaks off, or answers nonsense. The contract suite compares its other answers with the
//! real server.

mod engine;
mod http;

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cas_vault::{ServerUrl, VaultConfig};
use serde_json::{Value, json};

use self::engine::Engine;
use crate::{now_ms, write_private};

pub use self::http::{Answer, Request};

/// The fault of a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The request is read and never answered.
    Silence,
    /// The answer's head and half of its body are sent, then nothing more.
    StopInBody,
    /// The connection is closed instead of an answer.
    Close,
    /// The connection is closed in the middle of the body.
    CloseInBody,
    /// The answer takes this long.
    Late(Duration),
    /// These bytes are sent, which need not be HTTP, and the connection is closed.
    Bytes(Vec<u8>),
    /// This answer is sent to every request.
    Answer(Answer),
}

/// The fake on its own loopback port; it ends with this value.
pub struct VaultFake {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    has_ended: AtomicBool,
}

#[derive(Default)]
struct State {
    engine: Engine,
    fault: Option<(String, Fault)>,
    requests: Vec<Request>,
    connections: usize,
}

impl VaultFake {
    /// Starts without a document, and with a token of `user` that may merge and replace.
    pub fn start(user: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let address = listener.local_addr().expect("the port's address");
        let shared = Arc::new(Shared::default());
        let fake = Self { address, shared: Arc::clone(&shared) };
        fake.set_lookup(&json!({
            "policies": [format!("workstation-claude-{user}")],
            "meta": { "user": user },
            "display_name": format!("token-devvm-claude-auth-{user}"),
            "ttl": 2_764_800, "creation_ttl": 2_764_800, "creation_time": now_ms() / 1000, "renewable": true, "type": "service",
        }));
        fake.set_policy(true, true);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.has_ended.load(Ordering::Acquire) {
                    break;
                }
                shared.state().connections += 1;
                let shared = Arc::clone(&shared);
                // A client that disconnects is not an error of the fake.
                thread::spawn(move || shared.serve(&stream).ok());
            }
        });
        fake
    }

    /// Returns the URL for `VAULT_ADDR`.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the settings of a run of this user without cached state; the token file is written
    /// into `folder`.
    pub fn config(&self, user: &str, folder: &Path) -> VaultConfig {
        let token_file = folder.join("vault-token");
        write_private(&token_file, "hvs.canary");
        let address = ServerUrl::parse(&self.address()).expect("the fake's address");
        VaultConfig::for_user(address, user, token_file, now_ms()).expect("a user name")
    }

    /// Makes requests whose "METHOD path" contains `pattern` fail with this fault.
    pub fn fail(&self, pattern: &str, fault: Fault) {
        self.shared.state().fault = Some((pattern.to_owned(), fault));
    }

    /// Ends all faults.
    pub fn recover(&self) {
        self.shared.state().fault = None;
    }

    /// Sets what the token may do besides reading and creating.
    pub fn set_policy(&self, may_patch: bool, may_update: bool) {
        let mut state = self.shared.state();
        state.engine.may_patch = may_patch;
        state.engine.may_update = may_update;
    }

    /// Sets the answer to a lookup of the token.
    pub fn set_lookup(&self, lookup: &Value) {
        self.shared.state().engine.lookup = lookup.clone();
    }

    /// Replaces the document as another tool does.
    pub fn replace(&self, user: &str, fields: &Value) {
        self.shared.state().engine.replace(user, fields);
    }

    /// Deletes the newest version.
    pub fn delete(&self, user: &str) {
        self.shared.state().engine.newest(user).expect("a document").deleted = true;
    }

    /// Destroys the newest version.
    pub fn destroy(&self, user: &str) {
        self.shared.state().engine.newest(user).expect("a document").destroyed = true;
    }

    /// Returns what an administrator reads: status and body.
    pub fn document(&self, user: &str) -> (u16, Value) {
        let answer = self.shared.state().engine.read(user);
        (answer.status, serde_json::from_slice(&answer.body).expect("the fake speaks JSON"))
    }

    /// Returns all requests so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Returns "METHOD path" of all requests so far, without the common part of the paths.
    pub fn lines(&self) -> Vec<String> {
        let line =
            |request: &Request| format!("{} {}", request.method, request.path.trim_start_matches("/v1/"));
        self.requests().iter().map(line).collect()
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }
}

impl Drop for VaultFake {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::Release);
        // Wakes the accepting thread; the error is that it has ended already.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut writer = stream;
        while let Some(request) = Request::read(&mut reader)? {
            let (fault, answer) = self.state().take(&request);
            match fault {
                None => answer.write(&mut writer)?,
                Some(Fault::Answer(other)) => other.write(&mut writer)?,
                Some(Fault::Late(span)) => {
                    self.linger(span);
                    answer.write(&mut writer)?;
                }
                Some(Fault::Silence) => {
                    self.linger(Duration::from_secs(60));
                    break;
                }
                Some(Fault::Close) => break,
                Some(Fault::Bytes(bytes)) => return writer.write_all(&bytes),
                Some(Fault::CloseInBody) => return half(&answer, &mut writer),
                Some(Fault::StopInBody) => {
                    half(&answer, &mut writer)?;
                    self.linger(Duration::from_secs(60));
                    break;
                }
            }
        }
        Ok(())
    }

    /// Waits, at most until the end of the fake.
    fn linger(&self, span: Duration) {
        let started = Instant::now();
        while started.elapsed() < span && !self.has_ended.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl State {
    /// Applies a fault. A request with a wrong answer changes nothing; one whose answer is lost may
    /// have been carried out.
    fn take(&mut self, request: &Request) -> (Option<Fault>, Answer) {
        self.requests.push(request.clone());
        let line = format!("{} {}", request.method, request.path);
        let fault =
            self.fault.as_ref().filter(|(pattern, _)| line.contains(pattern)).map(|(_, fault)| fault.clone());
        let answer = match fault {
            Some(Fault::Answer(_) | Fault::Bytes(_)) => Answer::default(),
            _ => self.engine.handle(request),
        };
        (fault, answer)
    }
}

fn half(answer: &Answer, writer: &mut impl Write) -> std::io::Result<()> {
    writer.write_all(&[answer.head().as_bytes(), &answer.body[..answer.body.len() / 2]].concat())
}
