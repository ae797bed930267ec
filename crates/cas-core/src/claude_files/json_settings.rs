//! Reads Claude Code's JSON files, its state `~/.claude.json` and its settings. Reads are bounded,
//! never block, and parse only the few members that are needed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::credential::fingerprint::Fingerprint;
use crate::credential::login::Owner;
use crate::fs::regular_file::{self, OpenError};

/// The largest file that is read, in bytes. Settings have a few kilobytes. A `.claude.json` can
/// have tens of megabytes, because early clients kept all conversations in it.
pub const LIMIT: usize = 64 << 20;

/// The longest member that is parsed, in bytes. Real ones have up to a few kilobytes. Parsing a
/// member needs about a hundred times its size in memory.
const MAX_MEMBER_LEN: usize = 1 << 20;

/// The member that names the signed-in account.
pub const ACCOUNT: &str = "oauthAccount";

/// The member that says whether the client has completed its first-start dialog.
pub const ONBOARDING: &str = "hasCompletedOnboarding";

/// The members that identify a state file: the time at which a client created it, and 64 random
/// hexadecimal digits, which some commands of 2.1.329 do not write yet. A logout keeps both
/// (measured with 2.1.197, 2.1.329 and 2.1.332).
const INSTALLATION: [&str; 2] = ["firstStartTime", "userID"];

/// The member with the API key of a sign-in that uses one instead of a login.
pub const API_KEY: &str = "primaryApiKey";

/// The members that are read.
const MEMBERS: [&str; 7] =
    [ACCOUNT, ONBOARDING, INSTALLATION[0], INSTALLATION[1], API_KEY, "env", "apiKeyHelper"];

/// Returns the path of the client's state file: in its configuration directory
/// (`CLAUDE_CONFIG_DIR`) or in the home.
pub fn state_file(home: &Path, config_directory: Option<&Path>) -> PathBuf {
    config_directory.unwrap_or(home).join(".claude.json")
}

/// The parsed members of one file.
#[derive(Clone, Debug, Default)]
pub struct ClaudeJson {
    /// The [`MEMBERS`] that exist, each as JSON text.
    members: BTreeMap<&'static str, Box<RawValue>>,
}

/// The account that a state file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignedInAccount {
    /// The account and the organization, as far as they are named.
    pub owner: Owner,
    /// The email as written, not validated.
    pub email: Option<String>,
}

/// Why a file was not read.
#[derive(Debug)]
pub enum ReadJsonError {
    /// It cannot be read.
    File(OpenError),
    /// It is not JSON. The client ignores such settings, and does not start with such a state file.
    NotJson,
    /// It is not a JSON object. The client ignores such a file.
    NotAnObject,
}

impl ClaudeJson {
    /// Reads the file at `path`. Returns `None` if it does not exist. Symlinks are followed, as the
    /// client does.
    ///
    /// # Errors
    /// [`ReadJsonError`], also for a file larger than [`LIMIT`].
    pub fn read(path: &Path) -> Result<Option<Self>, ReadJsonError> {
        let text = regular_file::read(path, LIMIT).map_err(ReadJsonError::File)?;
        text.map(|text| Self::parse(&text)).transpose()
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    /// [`ReadJsonError`]; [`OpenError::TooLarge`] also for a member that is too long.
    pub fn parse(text: &[u8]) -> Result<Self, ReadJsonError> {
        // The client replaces bytes that are not UTF-8.
        let text = &*String::from_utf8_lossy(text);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let is_json = || serde_json::from_str::<IgnoredAny>(text).is_ok();
        let found: Self = serde_json::from_str(text).map_err(|_| match is_json() {
            true => ReadJsonError::NotAnObject,
            false => ReadJsonError::NotJson,
        })?;
        for member in found.members.values() {
            if member.get().len() > MAX_MEMBER_LEN {
                return Err(ReadJsonError::File(OpenError::TooLarge));
            }
            // Reject members that are nested too deeply to parse.
            serde_json::from_str::<Value>(member.get()).map_err(|_| ReadJsonError::NotAnObject)?;
        }
        Ok(found)
    }

    /// Returns the JSON text of one of the [`MEMBERS`], or `None` if it is missing.
    pub fn member(&self, name: &str) -> Option<&str> {
        self.members.get(name).map(|text| text.get())
    }

    /// Returns the JSON text of the member that names the signed-in account.
    pub fn account(&self) -> Option<&str> {
        self.member(ACCOUNT).filter(|text| *text != "null")
    }

    /// Returns the signed-in account, parsed.
    pub fn signed_in_account(&self) -> Option<SignedInAccount> {
        let account: Account = serde_json::from_str(self.account()?).ok()?;
        Some(SignedInAccount {
            owner: Owner { account: account.account_uuid, organization: account.organization_uuid },
            email: account.email_address.and_then(|email| email.as_str().map(str::to_owned)),
        })
    }

    /// Returns the fingerprint of the value that identifies this state file. A state file that is
    /// created anew has another one.
    pub fn installation(&self) -> Option<Fingerprint> {
        let text = |name| serde_json::from_str::<String>(self.member(name)?).ok();
        let id = INSTALLATION.into_iter().find_map(|name| text(name).filter(|id| !id.is_empty()))?;
        Some(Fingerprint::from_bytes(&id))
    }

    /// Returns [`ClaudeJson::installation`] if the file names the signed-in account.
    pub fn signed_in_installation(&self) -> Option<Fingerprint> {
        self.account().and_then(|_| self.installation())
    }

    /// Returns the fingerprint of the API key, if there is one.
    pub fn api_key(&self) -> Option<Fingerprint> {
        let key = serde_json::from_str::<String>(self.member(API_KEY)?).ok()?;
        (!key.is_empty()).then(|| Fingerprint::from_bytes(&key))
    }

    /// Returns whether the client has completed its first-start dialog, or `None` if it has not
    /// started it.
    pub fn has_completed_onboarding(&self) -> Option<bool> {
        self.member(ONBOARDING).map(|text| text == "true")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    email_address: Option<Value>,
    account_uuid: Option<String>,
    organization_uuid: Option<String>,
}

impl<'de> Deserialize<'de> for ClaudeJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

/// Skips all members but [`MEMBERS`]. As in the client, the last of two members with the same name
/// counts.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = ClaudeJson;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ClaudeJson, A::Error> {
        let mut found = ClaudeJson { members: BTreeMap::new() };
        while let Some(name) = map.next_key::<String>()? {
            match MEMBERS.into_iter().find(|member| *member == name) {
                Some(member) => {
                    found.members.insert(member, map.next_value()?);
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_the_known_members_of_an_object_are_parsed() {
        let text = "\u{feff}{\"env\":1,\"projects\":{\"env\":[{}]},\"hasCompletedOnboarding\":true,\"env\":{\"A\":\"b\"},\
                    \"oauthAccount\":{\"accountUuid\":\"one\",\"emailAddress\":\"a@example.org\",\"x\":[]}}";
        let found = ClaudeJson::parse(text.as_bytes()).expect("an object");
        assert_eq!((found.member("env"), found.member("projects")), (Some(r#"{"A":"b"}"#), None));
        assert_eq!(found.has_completed_onboarding(), Some(true));
        let signed_in = found.signed_in_account().expect("an account");
        assert_eq!(
            (signed_in.email.as_deref(), signed_in.owner.account.as_deref()),
            (Some("a@example.org"), Some("one"))
        );
        assert!(ClaudeJson::parse(b"{}").is_ok_and(|found| found.account().is_none()));
        let deep = format!(r#"{{"env":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        let long = format!(r#"{{"env":[{}0]}}"#, "0,".repeat(MAX_MEMBER_LEN / 2));
        assert!(matches!(ClaudeJson::parse(long.as_bytes()), Err(ReadJsonError::File(OpenError::TooLarge))));
        for text in ["[]", "null", "1", &deep] {
            assert!(matches!(ClaudeJson::parse(text.as_bytes()), Err(ReadJsonError::NotAnObject)), "{text}");
        }
        for text in ["", "{", "{}x", r#"{"env":}"#] {
            assert!(matches!(ClaudeJson::parse(text.as_bytes()), Err(ReadJsonError::NotJson)), "{text}");
        }
    }

    #[test]
    fn fifo_or_oversized_file_is_rejected_at_once() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = state_file(scratch.path(), None);
        assert!(matches!(ClaudeJson::read(&path), Ok(None)));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        assert!(matches!(ClaudeJson::read(&path), Err(ReadJsonError::File(OpenError::NotRegular))));
        fs::remove_file(&path).expect("removed");
        let file = fs::File::create(&path).expect("a file");
        file.set_len(LIMIT as u64 + 1).expect("a hole");
        assert!(matches!(ClaudeJson::read(&path), Err(ReadJsonError::File(OpenError::TooLarge))));
    }
}
