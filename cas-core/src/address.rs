//! The address somebody signed in to Claude with, from their own `.claude.json`: it goes into the command they are shown, so
//! that they need not remember it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::oauth_login::Owner;
use crate::regular_file;

/// The largest `.claude.json` that is read, in bytes: early clients kept all that was ever said in it, and it has been seen
/// to grow to tens of megabytes.
const LIMIT: usize = 64 << 20;

/// The longest address, in bytes (RFC 5321 allows 254).
const LONGEST: usize = 254;

/// A plain mail address: letters, digits and `._%+-`, one `@`, and a domain. Safe to print, and to paste into a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Accepts what can be nothing but an address; many real ones are not, and are not shown.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, domain) = text.split_once('@')?;
        let is_plain = |text: &str, marks: &[u8]| {
            let mut bytes = text.bytes();
            bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
        };
        let is_address = text.len() <= LONGEST && is_plain(name, b"._%+-") && is_plain(domain, b".-");
        is_address.then(|| Self(text.to_owned()))
    }

    /// That of the account which is signed in by this `.claude.json`, unless it is another one than `owner`. Nothing where
    /// the file is missing, is none that can be read, or does not say.
    pub fn of_account(file: &Path, owner: &Owner) -> Option<Self> {
        let text = regular_file::read(file, LIMIT).ok()??;
        // Each member still as text: of a large file one is wanted.
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(&text).ok()?;
        let account: Account = serde_json::from_str(members.get("oauthAccount")?.get()).ok()?;
        let signed_in = Owner { account: account.account_uuid, organization: account.organization_uuid };
        if signed_in.contradicts(owner) {
            return None;
        }
        Self::parse(&account.email_address?)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    email_address: Option<String>,
    account_uuid: Option<String>,
    organization_uuid: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_plain_addresses_are_shown() {
        for text in ["alice@example.org", "a.b+c_d%e-f@sub.example-host.org", "7@x"] {
            assert_eq!(Address::parse(text).map(|address| address.to_string()).as_deref(), Some(text));
        }
        let long = format!("{}@example.org", "a".repeat(LONGEST));
        for text in [
            "",
            "alice",
            "@example.org",
            "alice@",
            "-alice@example.org",
            "alice@-x",
            "alice@example.org; rm -rf ~",
            "alice@example.org`id`",
            "alice@example.org\n",
            "alice@exa\u{1b}[2Jmple.org",
            "älice@example.org",
            "$(id)@example.org",
            "a@b@c",
            "\"a b\"@example.org",
            &long,
        ] {
            assert_eq!(Address::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn it_is_read_from_the_file_of_the_very_account_and_nothing_else_is_an_error() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let file = scratch.path().join(".claude.json");
        let owner = |account: &str| Owner { account: Some(account.into()), organization: None };
        let found = |owner: &Owner| Address::of_account(&file, owner).map(|address| address.to_string());
        assert_eq!(found(&Owner::default()), None, "no file");
        let alice = r#"{"numStartups":3,"oauthAccount":{"accountUuid":"one","emailAddress":"alice@example.org","x":[]}}"#;
        for (content, expected) in [
            (alice, Some("alice@example.org")),
            (r#"{"oauthAccount":{"emailAddress":"alice@example.org"}}"#, Some("alice@example.org")),
            (r#"{"oauthAccount":{"accountUuid":"one"}}"#, None),
            (r#"{"oauthAccount":{"emailAddress":["alice@example.org"]}}"#, None),
            (r#"{"oauthAccount":null}"#, None),
            (r#"{"emailAddress":"alice@example.org"}"#, None),
            ("[]", None),
            ("", None),
        ] {
            fs::write(&file, content).expect("a file");
            assert_eq!(found(&owner("one")).as_deref(), expected, "{content}");
            assert_eq!(found(&Owner::default()).as_deref(), expected, "{content}");
        }
        fs::write(&file, alice).expect("a file");
        assert_eq!(found(&owner("another")), None, "it would be the command for somebody else");
        fs::remove_file(&file).expect("removed");
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        assert_eq!(found(&owner("one")), None, "and nobody waits");
    }
}
