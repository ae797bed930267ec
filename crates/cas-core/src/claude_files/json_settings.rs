//! Claude Code's own JSON files, as far as they are about credentials: its state, `~/.claude.json`, and its settings. They are
//! read in one way: never waited for, bounded, and parsed once, for the few members that anybody here asks about.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::credential::login::Owner;
use crate::fs::regular_file::{self, OpenError};

/// The largest file that is read, in bytes. Settings have a few kilobytes; a `.claude.json`, in which early clients kept all
/// that was ever said, has been seen to grow to tens of megabytes.
pub const LIMIT: usize = 64 << 20;

/// The longest member that is understood, in bytes: they have some hundred, or a few kilobytes. Understanding one takes a hundred
/// times the room.
const LONGEST_MEMBER: usize = 1 << 20;

/// Whom the person is signed in as.
pub const ACCOUNT: &str = "oauthAccount";

/// Whether the client has asked the questions of its first start.
pub const ONBOARDING: &str = "hasCompletedOnboarding";

/// All that is ever asked for.
const WANTED: [&str; 5] = [ACCOUNT, ONBOARDING, "env", "apiKeyHelper", "primaryApiKey"];

/// Where the client keeps its state: in the directory that it was given (`CLAUDE_CONFIG_DIR`), else in the home.
pub fn state_file(home: &Path, config_directory: Option<&Path>) -> PathBuf {
    config_directory.unwrap_or(home).join(".claude.json")
}

/// What such a file says.
#[derive(Clone, Debug, Default)]
pub struct ClaudeJson {
    /// Those of [`WANTED`] that are there, each as JSON text.
    members: BTreeMap<&'static str, Box<RawValue>>,
}

/// Whom a file of state says the person is signed in as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignedInAccount {
    /// The account and the organisation, as far as they are named.
    pub owner: Owner,
    /// The address, as it stands there: anything.
    pub address: Option<String>,
}

/// Why a file says nothing.
#[derive(Debug)]
pub enum ReadJsonError {
    /// It was not read.
    File(OpenError),
    /// It is no JSON object; the client passes it over.
    NotAnObject,
}

impl ClaudeJson {
    /// What the file at `path` says, or nothing where there is none; links are followed, as the client does.
    ///
    /// # Errors
    /// [`ReadJsonError`]; for what is larger than [`LIMIT`] as for what is no file.
    pub fn read(path: &Path) -> Result<Option<Self>, ReadJsonError> {
        let text = regular_file::read(path, LIMIT).map_err(ReadJsonError::File)?;
        text.map(|text| Self::parse(&text)).transpose()
    }

    /// What this text says.
    ///
    /// # Errors
    /// [`ReadJsonError`]; [`Unfit::TooLarge`] also for a member that is far too long.
    pub fn parse(text: &[u8]) -> Result<Self, ReadJsonError> {
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        let found: Self = serde_json::from_slice(text).map_err(|_| ReadJsonError::NotAnObject)?;
        for member in found.members.values() {
            if member.get().len() > LONGEST_MEMBER {
                return Err(ReadJsonError::File(OpenError::TooLarge));
            }
            // What is nested too deep is understood by nobody.
            serde_json::from_str::<Value>(member.get()).map_err(|_| ReadJsonError::NotAnObject)?;
        }
        Ok(found)
    }

    /// The JSON text of a member that is ever asked for; nothing where it is missing.
    pub fn member(&self, name: &str) -> Option<&str> {
        self.members.get(name).map(|text| text.get())
    }

    /// The JSON text of the member that says whom the person is signed in as.
    pub fn account(&self) -> Option<&str> {
        self.member(ACCOUNT).filter(|text| *text != "null")
    }

    /// The same, understood.
    pub fn signed_in_account(&self) -> Option<SignedInAccount> {
        let account: Account = serde_json::from_str(self.account()?).ok()?;
        Some(SignedInAccount {
            owner: Owner { account: account.account_uuid, organization: account.organization_uuid },
            address: account.email_address.and_then(|address| address.as_str().map(str::to_owned)),
        })
    }

    /// Whether the client has asked the questions of its first start; nothing where it has not begun with them.
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

/// Passes over whatever is not wanted. Of a member that stands there twice the last counts, as in the client.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = ClaudeJson;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ClaudeJson, A::Error> {
        let mut found = ClaudeJson { members: BTreeMap::new() };
        while let Some(name) = map.next_key::<String>()? {
            match WANTED.into_iter().find(|wanted| *wanted == name) {
                Some(wanted) => {
                    found.members.insert(wanted, map.next_value()?);
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
    fn of_an_object_what_is_wanted_is_known_and_nothing_else_is_one() {
        let text = "\u{feff}{\"env\":1,\"projects\":{\"env\":[{}]},\"hasCompletedOnboarding\":true,\"env\":{\"A\":\"b\"},\
                    \"oauthAccount\":{\"accountUuid\":\"one\",\"emailAddress\":\"a@example.org\",\"x\":[]}}";
        let found = ClaudeJson::parse(text.as_bytes()).expect("an object");
        assert_eq!((found.member("env"), found.member("projects")), (Some(r#"{"A":"b"}"#), None));
        assert_eq!(found.has_completed_onboarding(), Some(true));
        let signed_in = found.signed_in_account().expect("an account");
        assert_eq!(
            (signed_in.address.as_deref(), signed_in.owner.account.as_deref()),
            (Some("a@example.org"), Some("one"))
        );
        assert!(ClaudeJson::parse(b"{}").is_ok_and(|found| found.account().is_none()));
        let deep = format!(r#"{{"env":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        let long = format!(r#"{{"env":[{}0]}}"#, "0,".repeat(LONGEST_MEMBER / 2));
        assert!(matches!(ClaudeJson::parse(long.as_bytes()), Err(ReadJsonError::File(OpenError::TooLarge))));
        for text in ["", "[]", "null", "{", "{}x", r#"{"env":}"#, &deep] {
            assert!(matches!(ClaudeJson::parse(text.as_bytes()), Err(ReadJsonError::NotAnObject)), "{text}");
        }
    }

    #[test]
    fn no_file_is_waited_for_and_none_is_read_beyond_the_largest() {
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
