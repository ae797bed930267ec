//! A machine with very many enrolled users, each with a published state: files and a list of
//! accounts in a mount namespace.

use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::claude_client::now_in_milliseconds;
use crate::namespaces::{Mount, Namespaces};

/// Above the user ids of Debian's accounts.
const FIRST_UID: u32 = 70_000;

/// The users, and the file system view in which they exist.
pub struct ManyUsers {
    namespaces: Namespaces,
    scratch: TempDir,
}

impl ManyUsers {
    /// Creates this many users: one in a hundred has failed, and nine have a warning.
    ///
    /// # Errors
    /// Errors of creating the files, and of mounting them, which requires root.
    pub fn create(count: u32) -> io::Result<Self> {
        let scratch = tempfile::tempdir()?;
        let state = scratch.path().join("lib/claude-auth-sync");
        for folder in ["enrolled", "identities", "published"] {
            fs::create_dir_all(state.join(folder))?;
        }
        let (now, mut accounts) = (now_in_milliseconds(), String::from("root:x:0:0:root:/root:/bin/sh\n"));
        for number in 0..count {
            let (name, uid) = (format!("person{number:05}"), FIRST_UID + number);
            fs::write(state.join("enrolled").join(&name), "")?;
            fs::write(state.join("identities").join(&name), format!("{uid}\n"))?;
            let file = state.join("published").join(&name);
            fs::write(&file, published(&name, number, now))?;
            fs::set_permissions(&file, Permissions::from_mode(0o600))?;
            accounts.push_str(&format!("{name}:x:{uid}:{uid}::/home/{name}:/bin/sh\n"));
        }
        fs::write(scratch.path().join("passwd"), accounts)?;
        let namespaces = Namespaces::new(vec![
            Mount::Share { source: scratch.path().join("lib"), target: "/var/lib".into() },
            Mount::Bind { source: scratch.path().join("passwd"), target: "/etc/passwd".into() },
        ])?;
        Ok(Self { namespaces, scratch })
    }

    /// Returns a directory of the test, which also exists inside.
    pub fn scratch(&self) -> PathBuf {
        self.scratch.path().to_owned()
    }

    /// Runs a program as root, inside, to its end.
    ///
    /// # Errors
    /// Errors of starting it.
    pub fn run(&self, program: PathBuf, arguments: &[&str]) -> io::Result<Output> {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir("/");
        let mut child = self.namespaces.run(move || command.spawn())?;
        let mut out = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut stdout = Vec::new();
        out.read_to_end(&mut stdout)?;
        let output = child.wait_with_output()?;
        Ok(Output { stdout, ..output })
    }
}

/// Returns the state as root publishes it.
fn published(name: &str, number: u32, now: i64) -> String {
    let (status, exit_code) = match number % 100 {
        0 => ("FAIL", 79),
        1..10 => ("WARN", 75),
        _ => ("OK", 0),
    };
    json!({
        "uid": FIRST_UID + number, "schema": 1, "user": name, "at_ms": now - 3_600_000, "status": status,
        "text": "the login works: verified by inference; backed up in the store", "exit_code": exit_code,
        "finding": "login", "details": ["backed-up"], "verification": "ok", "verified_at_ms": now - 3_600_000,
        "outage": null, "outage_since_ms": null, "notice_about": null,
        "credential": {
            "kind": "login", "fingerprint": "ba7816bf8f01cfea", "access_token_expires_at_ms": now + 3_600_000,
            "login_expires_at_ms": now + 2_000_000_000, "account": "11111111-2222-3333-4444-555555555555",
            "expires_at_ms": now + 2_000_000_000, "expiry_is_estimated": false,
        },
    })
    .to_string()
}
