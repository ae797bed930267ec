//! Our fields in a user's document: the backup of the login, and the setup-token.

use serde_json::value::{RawValue, to_raw_value};

use crate::credential::expiry::SetupTokenDates;
use crate::credential::login::{self, AccessProblem, Login, Owner, ParsedLogin};
use crate::store::{Document, Fields};
use crate::time::timestamp::Timestamp;
use cas_protocol::setup_token::{SetupToken, SetupTokenError};

/// The compact JSON of the `claudeAiOauth` object, as a string.
pub const LOGIN: &str = "claude_ai_oauth_json";
/// The end of that login's access token, in ms since the epoch, as a string (the `vault` command writes all values so).
pub const EXPIRES_AT: &str = "credential_expires_at_ms";
/// When it was backed up, RFC 3339.
pub const BACKED_UP_AT: &str = "backed_up_at";
/// Which machine backed it up: two machines must not use one login, since each refresh spends the other's token.
pub const MACHINE: &str = "backed_up_machine";
/// The account of that login, as far as is known: older clients no longer name it when they refresh. Empty means unknown.
pub const ACCOUNT: &str = "claude_account_uuid";
/// Its organisation, likewise.
pub const ORGANIZATION: &str = "claude_organization_uuid";
/// The user's setup-token; empty means disabled.
pub const SETUP_TOKEN: &str = "setup_token";
/// When that token was made, RFC 3339.
pub const SETUP_TOKEN_MINTED_AT: &str = "setup_token_minted_at";
/// When that token lapses, RFC 3339.
pub const SETUP_TOKEN_EXPIRES_AT: &str = "setup_token_expires_at";

/// What a document says about its user.
#[derive(Debug)]
pub struct UserDocument {
    /// The version read.
    pub version: u64,
    /// The login that was backed up last.
    pub backup: Backup,
    /// Which machine backed it up; documents of the former script do not say.
    pub machine: Option<String>,
    /// When it was backed up.
    pub backed_up_at: Option<Timestamp>,
    /// The setup-token.
    pub setup_token: SetupTokenField,
    /// What is written down beside it; a date that cannot be read is as good as none.
    pub setup_token_dates: SetupTokenDates,
}

/// The backup in a document.
#[derive(Debug)]
pub enum Backup {
    /// There is none yet.
    None,
    /// A complete login.
    Login(Login),
    /// Something else stands in the field: never restored, and replaced by the next good login.
    Malformed(&'static str),
}

/// The setup-token in a document.
#[derive(Debug, PartialEq, Eq)]
pub enum SetupTokenField {
    /// The document says nothing about it.
    Absent,
    /// The field is there and empty: it was taken away.
    Empty,
    /// A well-formed token.
    Token(SetupToken),
    /// Something else: neither a token nor the word that there is none.
    Malformed(SetupTokenError),
}

impl UserDocument {
    /// Reads our fields. Total: a field of the wrong form has an answer too.
    pub fn parse(document: &Document) -> Self {
        let field = |name| text(document.fields.get(name).map(Box::as_ref)).filter(|text| !text.is_empty());
        let date = |name| field(name).and_then(|text| Timestamp::parse_rfc3339(&text));
        let labelled = Owner { account: field(ACCOUNT), organization: field(ORGANIZATION) };
        Self {
            version: document.version,
            backup: backup(document.fields.get(LOGIN).map(Box::as_ref)).labelled(&labelled),
            machine: text(document.fields.get(MACHINE).map(Box::as_ref)),
            backed_up_at: field(BACKED_UP_AT).and_then(|text| Timestamp::parse_rfc3339(&text)),
            setup_token: setup_token(document.fields.get(SETUP_TOKEN).map(Box::as_ref)),
            setup_token_dates: SetupTokenDates {
                minted_at: date(SETUP_TOKEN_MINTED_AT),
                expires_at: date(SETUP_TOKEN_EXPIRES_AT),
            },
        }
    }

    /// The login that was backed up last, if there is a complete one.
    pub fn login(&self) -> Option<&Login> {
        match &self.backup {
            Backup::Login(login) => Some(login),
            _ => None,
        }
    }

    /// As [`UserDocument::login`], taken out.
    pub fn into_login(self) -> Option<Login> {
        match self.backup {
            Backup::Login(login) => Some(login),
            _ => None,
        }
    }
}

impl Backup {
    /// The same, with whose it is from the fields beside it, where it does not say itself.
    fn labelled(self, owner: &Owner) -> Self {
        match self {
            Self::Login(mut login) => {
                login.summary.owner = login.summary.owner.merged_with(owner);
                Self::Login(login)
            }
            other => other,
        }
    }
}

/// The fields that back up `login`.
///
/// # Errors
/// None in practice: strings can always be written as JSON.
pub fn backup_fields(login: &Login, now: Timestamp, machine: &str) -> Result<Fields, serde_json::Error> {
    let owner = &login.summary.owner;
    let mut fields = Fields::from([
        (LOGIN.to_owned(), to_raw_value(login.json.expose())?),
        (EXPIRES_AT.to_owned(), to_raw_value(&login.summary.expires_at.millis().to_string())?),
        (BACKED_UP_AT.to_owned(), to_raw_value(&now.to_string())?),
        (MACHINE.to_owned(), to_raw_value(machine)?),
    ]);
    if *owner != Owner::default() {
        // Both, so that neither is left from another account's; no store can take a field away.
        for (name, value) in [(ACCOUNT, &owner.account), (ORGANIZATION, &owner.organization)] {
            fields.insert(name.to_owned(), to_raw_value(value.as_deref().unwrap_or_default())?);
        }
    }
    Ok(fields)
}

/// The fields that put `token` in force, with what is known about it. Dates that are not known are emptied: those that stand
/// there are another token's.
///
/// # Errors
/// None in practice: strings can always be written as JSON.
pub fn setup_token_fields(token: &SetupToken, dates: SetupTokenDates) -> Result<Fields, serde_json::Error> {
    let date = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string()).unwrap_or_default();
    three_fields(token.expose(), &date(dates.minted_at), &date(dates.expires_at))
}

/// The fields that take the setup-token out of force.
///
/// # Errors
/// As [`setup_token_fields`].
pub fn clear_setup_token_fields() -> Result<Fields, serde_json::Error> {
    three_fields("", "", "")
}

fn three_fields(token: &str, minted_at: &str, expires_at: &str) -> Result<Fields, serde_json::Error> {
    Ok(Fields::from([
        (SETUP_TOKEN.to_owned(), to_raw_value(token)?),
        (SETUP_TOKEN_MINTED_AT.to_owned(), to_raw_value(minted_at)?),
        (SETUP_TOKEN_EXPIRES_AT.to_owned(), to_raw_value(expires_at)?),
    ]))
}

fn backup(field: Option<&RawValue>) -> Backup {
    let Some(field) = field.filter(|raw| raw.get() != "null" && raw.get() != r#""""#) else {
        return Backup::None;
    };
    let Some(text) = text(Some(field)) else { return Backup::Malformed("the field is no string") };
    let Ok(object) = serde_json::from_str::<&RawValue>(&text) else {
        return Backup::Malformed("it is no JSON");
    };
    match login::parse(object) {
        ParsedLogin::Complete(login) | ParsedLogin::RefreshFirst(login, AccessProblem::MissingScope) => {
            Backup::Login(login)
        }
        ParsedLogin::RefreshFirst(_, problem) => Backup::Malformed(problem.as_str()),
        ParsedLogin::Cleared => Backup::Malformed("it is a tombstone"),
        ParsedLogin::NotRefreshable(why) | ParsedLogin::Invalid(why) => Backup::Malformed(why),
    }
}

fn setup_token(field: Option<&RawValue>) -> SetupTokenField {
    let Some(field) = field.filter(|raw| raw.get() != "null") else { return SetupTokenField::Absent };
    match text(Some(field)).as_deref() {
        Some("") => SetupTokenField::Empty,
        Some(text) => SetupToken::parse(text).map_or_else(SetupTokenField::Malformed, SetupTokenField::Token),
        None => SetupTokenField::Malformed(SetupTokenError::Prefix),
    }
}

fn text(field: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(field?.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str =
        r#"{"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":["user:inference"]}"#;

    fn document(json: &str) -> UserDocument {
        let fields = serde_json::from_str(json).expect("a row is JSON");
        UserDocument::parse(&Document { fields, version: 3 })
    }

    #[test]
    fn what_is_backed_up_is_what_is_read() {
        let object = serde_json::from_str::<&RawValue>(OBJECT).expect("it is JSON");
        let ParsedLogin::Complete(login) = login::parse(object) else { panic!("this is a login") };
        let fields = backup_fields(&login, Timestamp::from_millis(0), "desk/1").expect("strings are JSON");
        let read = UserDocument::parse(&Document { fields, version: 1 });
        assert_eq!(read.login().map(|login| login.json.expose().as_str()), Some(OBJECT));
        assert_eq!(read.machine.as_deref(), Some("desk/1"));
    }

    #[test]
    fn a_backup_field_is_a_login_or_says_why_not() {
        let tombstone = r#"{\"accessToken\":\"\",\"refreshToken\":\"\",\"expiresAt\":0}"#;
        for (json, expected) in [
            ("{}".to_owned(), None),
            (r#"{"claude_ai_oauth_json":""}"#.to_owned(), None),
            (r#"{"claude_ai_oauth_json":null}"#.to_owned(), None),
            (r#"{"claude_ai_oauth_json":7}"#.to_owned(), Some("the field is no string")),
            (r#"{"claude_ai_oauth_json":"{"}"#.to_owned(), Some("it is no JSON")),
            (format!(r#"{{"claude_ai_oauth_json":"{tombstone}"}}"#), Some("it is a tombstone")),
        ] {
            match (document(&json).backup, expected) {
                (Backup::None, None) => (),
                (Backup::Malformed(why), Some(expected)) => assert_eq!(why, expected),
                (found, _) => panic!("{json}: {found:?}"),
            }
        }
    }

    #[test]
    fn whose_it_is_stays_known_where_a_client_left_it_out() {
        let kept = |own: &str| {
            let labelled = r#""claude_account_uuid":"one","claude_organization_uuid":"""#;
            let json = OBJECT.replacen('{', &format!("{{{own}"), 1).replace('"', "\\\"");
            let document = document(&format!(r#"{{"claude_ai_oauth_json":"{json}",{labelled}}}"#));
            document.login().expect("a login").summary.owner.clone()
        };
        let account = |name: &str| Owner { account: Some(name.into()), organization: None };
        assert_eq!(kept(""), account("one"));
        assert_eq!(kept(r#""accountUuid":"two","#), account("two"), "its own word counts");
    }

    #[test]
    fn dates_beside_the_token_are_read_leniently() {
        let first = Timestamp::from_millis(1_750_000_000_000);
        for (minted, expires, expected) in [
            (
                r#""2025-06-15T15:06:40Z""#,
                r#""""#,
                SetupTokenDates { minted_at: Some(first), expires_at: None },
            ),
            (
                "null",
                r#"" 2025-06-15T17:06:40+02:00 ""#,
                SetupTokenDates { minted_at: None, expires_at: Some(first) },
            ),
            (r#""last Sunday""#, "1750000000000", SetupTokenDates::default()),
            (r#"{"at":"2025-06-15T15:06:40Z"}"#, "[]", SetupTokenDates::default()),
        ] {
            let token = r#""setup_token":"sk-ant-oat01-abc""#;
            let dates = format!(r#""setup_token_minted_at":{minted},"setup_token_expires_at":{expires}"#);
            let document = document(&format!("{{{token},{dates}}}"));
            assert_eq!(document.setup_token_dates, expected, "{dates}");
            assert!(matches!(document.setup_token, SetupTokenField::Token(_)), "{dates}");
        }
        assert_eq!(document("{}").setup_token_dates, SetupTokenDates::default());
    }

    #[test]
    fn a_token_that_is_put_in_force_is_read_with_its_dates_and_leaves_with_them() {
        let token = SetupToken::parse("sk-ant-oat01-abc").expect("well-formed");
        let minted = Timestamp::from_millis(1_750_000_000_000);
        let fields =
            setup_token_fields(&token, SetupTokenDates { minted_at: Some(minted), expires_at: None })
                .expect("strings are JSON");
        let of = |name: &str| fields.get(name).map(|raw| raw.get().to_owned());
        assert_eq!(of(SETUP_TOKEN_MINTED_AT).as_deref(), Some(r#""2025-06-15T15:06:40Z""#));
        assert_eq!(of(SETUP_TOKEN_EXPIRES_AT).as_deref(), Some(r#""""#));
        let read = UserDocument::parse(&Document { fields, version: 1 });
        assert_eq!(read.setup_token, SetupTokenField::Token(token));
        let fields = clear_setup_token_fields().expect("strings are JSON");
        assert_eq!(UserDocument::parse(&Document { fields, version: 2 }).setup_token, SetupTokenField::Empty);
    }

    #[test]
    fn a_setup_token_field_is_read_strictly() {
        let token = || SetupToken::parse("sk-ant-oat01-abc").expect("well-formed");
        for (json, expected) in [
            ("{}", SetupTokenField::Absent),
            (r#"{"setup_token":null}"#, SetupTokenField::Absent),
            (r#"{"setup_token":""}"#, SetupTokenField::Empty),
            (r#"{"setup_token":"sk-ant-oat01-abc"}"#, SetupTokenField::Token(token())),
            (
                r#"{"setup_token":"sk-ant-oat01-abc\n"}"#,
                SetupTokenField::Malformed(SetupTokenError::Character),
            ),
            (r#"{"setup_token":"PATH=/x"}"#, SetupTokenField::Malformed(SetupTokenError::Prefix)),
            (r#"{"setup_token":false}"#, SetupTokenField::Malformed(SetupTokenError::Prefix)),
        ] {
            assert_eq!(document(json).setup_token, expected, "{json}");
        }
    }
}
