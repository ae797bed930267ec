//! The address somebody signed in to Claude with, from their own `.claude.json`: it goes into the command they are shown, so
//! that they need not remember it.

use std::fmt;

use crate::claude_files::json_settings::ClaudeJson;
use crate::credential::login::Owner;

/// The longest address, in bytes (RFC 5321 allows 254).
const LONGEST: usize = 254;

/// A plain mail address: letters, digits and `._%+-`, one `@`, and a domain. Safe to print, and to paste into a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
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
    /// the file does not say, or not plainly.
    pub fn for_owner(state: &ClaudeJson, owner: &Owner) -> Option<Self> {
        let signed_in = state.signed_in_account().filter(|signed_in| !signed_in.owner.contradicts(owner))?;
        Self::parse(&signed_in.address?)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_are_shown() {
        for text in ["alice@example.org", "a.b+c_d%e-f@sub.example-host.org", "7@x"] {
            assert_eq!(Email::parse(text).map(|address| address.to_string()).as_deref(), Some(text));
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
            assert_eq!(Email::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn it_is_that_of_the_very_account_and_nothing_else_is_an_error() {
        let owner = |account: &str| Owner { account: Some(account.into()), organization: None };
        let found = |content: &str, owner: &Owner| {
            let state = ClaudeJson::parse(content.as_bytes()).ok()?;
            Email::for_owner(&state, owner).map(|address| address.to_string())
        };
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
            assert_eq!(found(content, &owner("one")).as_deref(), expected, "{content}");
            assert_eq!(found(content, &Owner::default()).as_deref(), expected, "{content}");
        }
        assert_eq!(found(alice, &owner("another")), None, "it would be the command for somebody else");
    }
}
