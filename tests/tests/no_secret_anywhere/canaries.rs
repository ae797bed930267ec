//! Secrets that can be recognized in any output, completely or in part, and in any encoding.

use std::collections::HashMap;
use std::fs;

/// The number of characters that identify an encoded secret.
const MIN_LENGTH: usize = 12;

/// One secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Secret {
    /// The tokens of the login, access and refresh.
    Login,
    SetupToken,
    VaultToken,
    /// The field of another tool in the same document.
    Sibling,
    /// The member of another service in the same login file.
    Neighbour,
}

/// The secrets of one test, and how to recognize them.
pub(crate) struct Canaries {
    texts: HashMap<Secret, String>,
    /// Every sequence of twelve characters, of every encoding of each of them.
    traces: HashMap<Vec<u8>, Secret>,
}

impl Canaries {
    /// Creates new, unique secrets.
    pub(crate) fn new() -> Self {
        let mut canaries = Self { texts: HashMap::new(), traces: HashMap::new() };
        for (secret, prefix) in [
            (Secret::Login, "sk-ant-ort01-"),
            (Secret::SetupToken, "sk-ant-oat01-"),
            (Secret::VaultToken, "hvs."),
            (Secret::Sibling, "<&>\u{e9}\"\\"),
            (Secret::Neighbour, "mcp-"),
        ] {
            canaries.add(secret, prefix, &core());
        }
        canaries
    }

    /// Adds a secret of this kind, such as a token that a server has made; the newest is the one
    /// that is planted.
    pub(crate) fn add(&mut self, secret: Secret, prefix: &str, core: &str) {
        for way in ways_to_write(core) {
            let traces = way.as_bytes().windows(MIN_LENGTH).map(|trace| (trace.to_vec(), secret));
            self.traces.extend(traces);
        }
        self.texts.insert(secret, format!("{prefix}{core}"));
    }

    /// Returns the secret itself.
    pub(crate) fn text(&self, secret: Secret) -> &str {
        &self.texts[&secret]
    }

    /// Returns it without the common prefix of its kind.
    pub(crate) fn core(&self, secret: Secret) -> &str {
        let text = self.text(secret);
        text.rsplit(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or(text)
    }

    /// Returns the secrets that occur, and the context of the first occurrence of each.
    pub(crate) fn found_in(&self, evidence: &[u8]) -> Vec<(Secret, String)> {
        let mut found: Vec<(Secret, String)> = Vec::new();
        for (place, trace) in evidence.windows(MIN_LENGTH).enumerate() {
            let Some(secret) = self.traces.get(trace) else { continue };
            if found.iter().all(|(known, _)| known != secret) {
                let around = &evidence[place.saturating_sub(100)..evidence.len().min(place + 100)];
                found.push((*secret, String::from_utf8_lossy(around).into_owned()));
            }
        }
        found
    }
}

/// Letters and digits only, so that no quoting changes them: three dozen, at random.
fn core() -> String {
    let uuid = || fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel has more of them");
    let core = [uuid(), uuid()].concat().replace(['-', '\n'], "").to_uppercase();
    core.chars().take(36).collect()
}

/// Returns the encodings: unchanged; as base64 of any text that contains it; and each character on
/// its own, as URLs, JSON and hex dumps write them.
fn ways_to_write(core: &str) -> Vec<String> {
    let each = |write: fn(u8) -> String| core.bytes().map(write).collect::<String>();
    let mut ways = vec![
        core.to_owned(),
        core.chars().rev().collect(),
        each(|byte| format!("%{byte:02x}")),
        each(|byte| format!("%{byte:02X}")),
        each(|byte| format!("\\u{byte:04x}")),
        each(|byte| format!("\\x{byte:02x}")),
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("{byte:02X}")),
    ];
    for skipped in 0..3 {
        let complete =
            core.as_bytes()[skipped..].chunks_exact(3).flat_map(base64_of_three).collect::<String>();
        ways.extend([complete.replace('+', "-").replace('/', "_"), complete]);
    }
    ways
}

fn base64_of_three(three: &[u8]) -> [char; 4] {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = three.iter().fold(0_usize, |bits, byte| (bits << 8) | usize::from(*byte));
    [18, 12, 6, 0].map(|shift| char::from(LETTERS[(bits >> shift) & 63]))
}

#[test]
fn planted_secret_is_found_in_every_encoding() {
    let mut canaries = Canaries::new();
    canaries.add(Secret::Login, "sk-ant-oat01-", "K4n4r1enV0gelAusDemHarz0123456789");
    for leak in [
        "token sk-ant-oat01-K4n4r1enV0gelAusDemHarz0123456789 refused",
        "Bearer sk-ant-oat01-K4n4r1enV0gelAus…",
        "\"sk-ant-oat01-K4n4r1enV0ge\\nlAusDemHarz0123456789\"",
        "c2stYW50LW9hdDAxLUs0bjRyMWVuVjBnZWxBdXNEZW1IYXJ6MDEyMzQ1Njc4OQ==",
        "QXV0aG9yaXphdGlvbjogQmVhcmVyIHNrLWFudC1vYXQwMS1LNG40cjFlblYwZ2VsQXVzRGVtSGFyejAxMjM0NTY3ODk",
        "%73%6b%2d%61%6e%74%2d%4b%34%6e%34%72%31%65%6e%56%30%67%65%6c",
        "\\u004b\\u0034\\u006e\\u0034\\u0072\\u0031\\u0065\\u006e\\u0056",
        "4b346e347231656e5630676 4b346e347231656e56306765",
    ] {
        let found = canaries.found_in(leak.as_bytes());
        assert_eq!(found.first().map(|(secret, _)| *secret), Some(Secret::Login), "{leak}");
    }
    assert_eq!(canaries.found_in(b"sk-ant-oat01- and sk-ant-ort01- and K4n4r1enV0g are no secrets"), []);
}
