//! One run of the Vault store as a program, for suites that measure a process: reads the document
//! of the user once and prints the result.
//!
//! ```text
//! store-read-once ADDRESS CA|- USER TOKEN_FILE MEMORY_FILE DEADLINE_MS [PROXY]
//! ```
//! The memory is read from MEMORY_FILE, if it is there, and written back.

use std::env::args;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cas_core::store::Store;
use cas_protocol::deadline::Deadline;
use cas_tests::now_ms;
use cas_vault::{ProxyAddress, ServerUrl, VaultConfig, VaultStore};

fn main() -> ExitCode {
    let arguments: Vec<String> = args().skip(1).collect();
    let [address, ca, user, token_file, memory_file, deadline_ms, proxy @ ..] = arguments.as_slice() else {
        eprintln!("usage: store-read-once ADDRESS CA|- USER TOKEN_FILE MEMORY_FILE DEADLINE_MS [PROXY]");
        return ExitCode::from(2);
    };
    let address = ServerUrl::parse(address).expect("ADDRESS");
    let config = VaultConfig::for_user(address, user, token_file.into(), now_ms()).expect("USER");
    let remembered = fs::read(memory_file).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let mut store = VaultStore::new(VaultConfig {
        ca_cert: (ca != "-").then(|| PathBuf::from(ca)),
        proxy: proxy.first().map(|proxy| ProxyAddress::parse(proxy).expect("PROXY")),
        token_cache: remembered.unwrap_or_default(),
        ..config
    });
    let started = Instant::now();
    let deadline = Deadline::after(Duration::from_millis(deadline_ms.parse().expect("DEADLINE_MS")));
    let outcome = store.read(&deadline);
    let requests = store.requests();
    fs::write(memory_file, serde_json::to_vec(store.token_cache()).expect("memory is JSON"))
        .expect("MEMORY_FILE");
    drop(store);
    let took = started.elapsed().as_millis();
    match outcome {
        Ok(document) => println!("version={} requests={requests} ms={took}", document.version),
        Err(failure) => println!("failure={failure} requests={requests} ms={took}"),
    }
    ExitCode::SUCCESS
}
