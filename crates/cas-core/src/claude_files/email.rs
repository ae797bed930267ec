//! The email of the signed-in account, from the user's `.claude.json`. It is inserted into the
//! sign-in command that is shown to the user.

use std::fmt;

use crate::claude_files::json_settings::ClaudeJson;
use crate::credential::login::Owner;

/// The longest email, in bytes (RFC 5321).
const MAX_LEN: usize = 254;

/// A plain email: letters, digits and `._%+-`, one `@`, and a domain. It is safe to print and to
/// paste into a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Parses a plain email. Valid emails with other characters are rejected and not shown.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, domain) = text.split_once('@')?;
        let is_plain = |text: &str, punctuation: &[u8]| {
            let mut bytes = text.bytes();
            bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || punctuation.contains(&byte))
        };
        let is_email = text.len() <= MAX_LEN && is_plain(name, b"._%+-") && is_plain(domain, b".-");
        is_email.then(|| Self(text.to_owned()))
    }

    /// Returns the email of the account that is signed in according to this `.claude.json`, unless
    /// it contradicts `owner`. Returns `None` if the file has no plain email.
    pub fn for_owner(state: &ClaudeJson, owner: &Owner) -> Option<Self> {
        let signed_in = state.signed_in_account().filter(|signed_in| !signed_in.owner.contradicts(owner))?;
        Self::parse(&signed_in.email?)
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
    fn email_with_shell_or_control_characters_is_rejected() {
        for text in ["alice@example.org", "a.b+c_d%e-f@sub.example-host.org", "7@x"] {
            assert_eq!(Email::parse(text).map(|email| email.to_string()).as_deref(), Some(text));
        }
        let long = format!("{}@example.org", "a".repeat(MAX_LEN));
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
    fn email_of_another_account_is_not_returned() {
        let owner = |account: &str| Owner { account: Some(account.into()), organization: None };
        let found = |content: &str, owner: &Owner| {
            let state = ClaudeJson::parse(content.as_bytes()).ok()?;
            Email::for_owner(&state, owner).map(|email| email.to_string())
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
        assert_eq!(found(alice, &owner("another")), None, "the command would be for another account");
    }
}
