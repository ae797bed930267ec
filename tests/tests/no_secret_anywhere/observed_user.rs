//! A user with a complete record of the arguments, environment, output and files of each process.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use cas_tests::claude_login::{new_login, parsed};
use cas_tests::test_user::{ENV_FILE, LOGIN, NAME, STATE, TestUser, UID, VAULT_TOKEN};

use crate::canaries::{Canaries, Secret};

/// Returns which secrets may be in a file of the home. Each file must belong to the user and be
/// private.
fn is_allowed_location(file: &str) -> &'static [Secret] {
    const LOGIN_PLACES: &[Secret] = &[Secret::Login, Secret::Neighbour];
    let state = |name: &str| file == format!("{STATE}/{name}");
    if file == LOGIN || state("replaced-credentials.json") || state("damaged-credentials.json") {
        LOGIN_PLACES
    } else if state("history.json") {
        &[Secret::Login]
    } else if file == ENV_FILE || file == format!("{ENV_FILE}.replaced") {
        &[Secret::SetupToken]
    } else if file == VAULT_TOKEN {
        &[Secret::VaultToken]
    } else {
        &[]
    }
}

/// A user with its namespaces, and everything that was observed there.
pub(crate) struct ObservedUser {
    pub canaries: Canaries,
    pub test_user: TestUser,
    /// What was found where it must not be.
    leaks: Vec<String>,
    runs: usize,
    bytes: usize,
    there_before: BTreeSet<PathBuf>,
    planted_secrets: Option<String>,
}

impl ObservedUser {
    /// Creates the user with `create`.
    pub(crate) fn new(create: impl FnOnce() -> TestUser) -> Self {
        let there_before = temporary_entries();
        let canaries = Canaries::new();
        let test_user = create();
        Self {
            canaries,
            test_user,
            leaks: Vec::new(),
            runs: 0,
            bytes: 0,
            there_before,
            planted_secrets: None,
        }
    }

    /// Returns a login file with these secrets in it.
    pub(crate) fn login_file(&self) -> String {
        new_login(self.canaries.core(Secret::Login))
            .replace("mcp-secret-\u{e9}", self.canaries.text(Secret::Neighbour))
    }

    /// Signs in with these secrets and returns the content of the file.
    pub(crate) fn sign_in(&self, hours: i64) -> String {
        let file = self.test_user.sign_in_as(self.canaries.core(Secret::Login), hours);
        let file = file.replace("mcp-secret-\u{e9}", self.canaries.text(Secret::Neighbour));
        self.test_user.put(LOGIN, &file);
        file
    }

    /// Returns the access token in the login file.
    pub(crate) fn access_token(&self) -> String {
        let file = parsed(&String::from_utf8_lossy(&self.test_user.read(LOGIN).expect("a login")));
        file["claudeAiOauth"]["accessToken"].as_str().expect("a token").to_owned()
    }

    /// Marks a file below the home as one in which the test has planted secrets.
    pub(crate) fn planted_secrets(&mut self, file: Option<&str>) {
        self.planted_secrets = file.map(str::to_owned);
    }

    /// Runs a shell of the user.
    pub(crate) fn shell(&mut self, script: &str) -> Output {
        let home = format!("HOME={}", self.test_user.home().display());
        self.run(script, true, &["/usr/bin/env", &home, "/bin/sh", "-c", script], None)
    }

    /// Runs `cas-sync run`, with any result.
    pub(crate) fn sync(&mut self, what: &str) -> Output {
        let program = self.test_user.program("cas-sync").display().to_string();
        self.run(what, true, &[&program, "run"], None)
    }

    /// Runs `cas-session login` as the PAM module starts it; the reply on the module's pipe may
    /// contain the token.
    pub(crate) fn login(&mut self, what: &str) -> Output {
        let program = self.test_user.program("cas-session").display().to_string();
        let reply = format!("CAS1 {}\n", self.canaries.text(Secret::SetupToken));
        let arguments = ["login", "--reply=1", "--deadline-ms=4000", "--debug", "--user", NAME];
        self.run(what, false, &[&[program.as_str()][..], &arguments].concat(), Some(&reply))
    }

    /// Runs `cas-session exec`; the one variable of its program may contain the token.
    pub(crate) fn exec(&mut self, what: &str) -> Output {
        let program = self.test_user.program("cas-session").display().to_string();
        let variable = format!("\"CLAUDE_CODE_OAUTH_TOKEN={}\"", self.canaries.text(Secret::SetupToken));
        self.run(what, true, &[&program, "exec", "--", "/bin/true"], Some(&variable))
    }

    /// Runs a program as the user or as root, and records everything it starts. The secret `meant`
    /// may appear once.
    fn run(&mut self, what: &str, as_user: bool, command: &[&str], meant: Option<&str>) -> Output {
        let trace = self.test_user.folder().join("trace");
        let trace_name = trace.display().to_string();
        let user: &[&str] = if as_user { &["-u", NAME] } else { &[] };
        let strace = ["-f", "-qq", "--seccomp-bpf", "-e", "trace=execve", "-v", "-s", "1000000"];
        let arguments = [user, &strace, &["-o", &trace_name], command].concat();
        let output = self.test_user.output(self.test_user.command_of_root("strace".as_ref(), &arguments));
        let started = fs::read_to_string(&trace).expect("strace wrote its trace");
        assert!(started.contains("execve("), "{what}: strace saw nothing: {output:?}");
        let without = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            meant.map_or(text.clone(), |meant| text.replacen(meant, "(as meant)", 1)).into_bytes()
        };
        self.search(&format!("{what}: argv and environment"), &without(started.as_bytes()));
        self.search(&format!("{what}: standard output"), &without(&output.stdout));
        self.search(&format!("{what}: standard error"), &output.stderr);
        self.search_files(what);
        self.runs += 1;
        output
    }

    /// Searches one file.
    pub(crate) fn search(&mut self, what: &str, evidence: &[u8]) {
        self.bytes += evidence.len();
        for (secret, around) in self.canaries.found_in(evidence) {
            self.leaks.push(format!("{secret:?} in {what}: …{around}…"));
        }
    }

    fn search_files(&mut self, what: &str) {
        let folder = self.test_user.folder().to_owned();
        for place in ["home", "tmp", "run"] {
            self.search_entry(what, &folder.join(place), &folder.join(place));
        }
    }

    fn search_entry(&mut self, what: &str, top: &Path, directory: &Path) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let metadata = fs::symlink_metadata(&path).expect("its metadata");
            let name = path.strip_prefix(top).expect("below it").display().to_string();
            if metadata.is_dir() {
                self.search_entry(what, top, &path);
            } else if metadata.is_file() && self.planted_secrets.as_deref() != Some(&name) {
                let content = fs::read(&path).expect("its content");
                self.bytes += content.len();
                let is_private = metadata.mode() & 0o7777 == 0o600 && metadata.uid() == UID;
                for (secret, around) in self.canaries.found_in(&content) {
                    if !is_allowed_location(&name).contains(&secret) || !is_private {
                        self.leaks.push(format!("{secret:?} in {name} after {what}: …{around}…"));
                    }
                }
            }
        }
    }

    /// Reads the journal, removes the user, and searches what is left.
    pub(crate) fn leaks(mut self) -> Vec<String> {
        let journal = self.test_user.journal();
        self.search("the journal", journal.as_bytes());
        assert!(journal.lines().count() >= self.runs / 3, "few lines for {} runs:\n{journal}", self.runs);
        let Self { canaries, test_user, mut leaks, runs, bytes, there_before, .. } = self;
        drop(test_user);
        for path in temporary_entries().difference(&there_before) {
            let mut left = Vec::new();
            search_below(path, &canaries, &mut left);
            leaks.extend(left);
        }
        eprintln!("{runs} runs, {} KiB looked through", bytes / 1024);
        leaks
    }
}

/// Returns the directories for temporary files, of the fixtures and of other programs.
fn temporary_entries() -> BTreeSet<PathBuf> {
    let entries = ["/tmp", "/var/tmp", "/dev/shm"].map(|place| fs::read_dir(place).into_iter().flatten());
    entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Searches a directory. Other tests create and remove files meanwhile, so missing files are
/// ignored.
fn search_below(path: &Path, canaries: &Canaries, leaks: &mut Vec<String>) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    if metadata.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            search_below(&entry.path(), canaries, leaks);
        }
    } else if metadata.is_file() && metadata.len() < 1 << 20 {
        let found = canaries.found_in(&fs::read(path).unwrap_or_default());
        leaks.extend(found.iter().map(|(secret, _)| format!("{secret:?} left behind in {}", path.display())));
    }
}
