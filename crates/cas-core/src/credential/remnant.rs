//! What can be read of a login in a credential file that no client uses.
//!
//! The refresh token in such a file tells which generation was written last. A backup that is older
//! than it is not restored over it: its refresh token was exchanged for this one, and a client that
//! presents it again logs the user out.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::credential::fingerprint::RefreshTokenId;
use crate::credential::json_edit::parse_members;
use crate::credential::login::Owner;
use crate::credential::login_file::LOGIN_KEY;
use crate::time::timestamp::Timestamp;

/// The part of a login that orders it among the backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remnant {
    /// The name of its refresh token.
    pub generation: RefreshTokenId,
    /// The end of its access token, where the file says it.
    pub expires_at: Option<Timestamp>,
    /// The account, where the file names it.
    pub owner: Owner,
}

impl Remnant {
    /// Reads what is left of a login in the content of a credential file, JSON or not. Returns
    /// nothing where no refresh token can be read.
    pub fn find(content: &[u8]) -> Option<Self> {
        let text = &*String::from_utf8_lossy(content);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let login = match parse_members(text) {
            Some(members) => members.iter().rev().find(|(name, _)| name == LOGIN_KEY)?.1.get(),
            // What follows the name of the login in a text that is not JSON as a whole.
            None => text.split_once(&format!("\"{LOGIN_KEY}\""))?.1,
        };
        let refresh_token = value(login, "refreshToken").map(Zeroizing::<String>::new)?;
        if refresh_token.is_empty() {
            return None;
        }
        let millis: Option<f64> = value(login, "expiresAt");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating on purpose")]
        let expires_at = millis.map(|millis| Timestamp::from_millis(millis as u64));
        let owner =
            Owner { account: value(login, "accountUuid"), organization: value(login, "organizationUuid") };
        Some(Self { generation: RefreshTokenId::from_bytes(&refresh_token), expires_at, owner })
    }
}

/// Returns the value of a member, in JSON or in a text that ends or breaks off behind it.
fn value<T: DeserializeOwned>(login: &str, name: &str) -> Option<T> {
    if let Some(members) = parse_members(login) {
        let (_, value) = members.iter().rev().find(|(member, _)| member == name)?;
        return serde_json::from_str(value.get()).ok();
    }
    let behind_name = login.split_once(&format!("\"{name}\""))?.1;
    let text = behind_name.trim_start().strip_prefix(':')?;
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?;
    // A number at the end of the text may have lost its last digits.
    let is_whole = values.byte_offset() < text.len() || value.get().ends_with('"');
    is_whole.then(|| serde_json::from_str(value.get()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str = r#"{"accessToken":"a","refreshToken":"r\u0041","expiresAt":1750000000999,"accountUuid":"acc","x":[1]}"#;

    fn found(content: &str) -> Option<(bool, Option<u64>, Option<String>)> {
        Remnant::find(content.as_bytes()).map(|remnant| {
            let is_named = remnant.generation == RefreshTokenId::from_bytes("rA");
            (is_named, remnant.expires_at.map(Timestamp::millis), remnant.owner.account)
        })
    }

    #[test]
    fn unusable_login_tells_its_generation() {
        let file = format!(r#"{{"mcpOAuth":{{"refreshToken":"other"}},"claudeAiOauth":{LOGIN}}}"#);
        let all = Some((true, Some(1_750_000_000_999), Some("acc".to_owned())));
        for content in [file.clone(), format!("{file}}}"), format!("\u{feff}{file}"), format!("x{file}")] {
            assert_eq!(found(&content), all, "{content}");
        }
    }

    #[test]
    fn torn_login_tells_what_is_left() {
        let file = format!(r#"{{"claudeAiOauth":{LOGIN}}}"#);
        let torn = |last: &str| &file[..file.find(last).expect("it is there") + last.len()];
        assert_eq!(found(torn("\"r\\u00")), None);
        assert_eq!(found(torn("41\"")), Some((true, None, None)));
        assert_eq!(found(torn("1750000000")), Some((true, None, None)), "the number may go on");
        assert_eq!(found(torn("1750000000999,")), Some((true, Some(1_750_000_000_999), None)));
    }

    #[test]
    fn file_without_a_refresh_token_tells_nothing() {
        let rows = [
            "",
            "{}",
            "null",
            r#"{"claudeAiOauth":null}"#,
            r#"{"claudeAiOauth":{"accessToken":"a"}}"#,
            r#"{"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0}}"#,
            r#"{"claudeAiOauth":{"refreshToken":7}}"#,
            r#"{"mcpOAuth":{"refreshToken":"other"}}"#,
            r#"{"mcpOAuth":{"refreshToken":"other"}"#,
        ];
        for content in rows {
            assert_eq!(found(content), None, "{content}");
        }
    }
}
