//! The fields of this project in a user's document: the backup of the login, and the setup token.

use serde_json::value::{RawValue, to_raw_value};

use crate::credential::expiry::SetupTokenDates;
use crate::credential::login::{self, AccessProblem, Login, Owner, ParsedLogin};
use crate::store::{Document, Fields};
use crate::time::timestamp::Timestamp;
use cas_protocol::setup_token::{SetupToken, SetupTokenError};

/// The compact JSON of the `claudeAiOauth` object, as a string.
pub const LOGIN: &str = "claude_ai_oauth_json";
/// The expiry of that login's access token, in ms since the epoch, as a string (the `vault` command
/// writes all values as strings).
pub const EXPIRES_AT: &str = "credential_expires_at_ms";
/// The time of the backup, RFC 3339.
pub const BACKED_UP_AT: &str = "backed_up_at";
/// The machine that wrote the backup. Two machines must not use one login, because each refresh
/// consumes the other's refresh token.
pub const MACHINE: &str = "backed_up_machine";
/// The account of that login. Older clients drop it when they refresh. Empty means unknown.
pub const ACCOUNT: &str = "claude_account_uuid";
/// The organization of that login. Empty means unknown.
pub const ORGANIZATION: &str = "claude_organization_uuid";
/// The user's setup token. Empty means disabled.
pub const SETUP_TOKEN: &str = "setup_token";
/// The creation time of the setup token, RFC 3339.
pub const SETUP_TOKEN_MINTED_AT: &str = "setup_token_minted_at";
/// The expiry of the setup token, RFC 3339.
pub const SETUP_TOKEN_EXPIRES_AT: &str = "setup_token_expires_at";

/// The fields of the setup token.
pub const SETUP_TOKEN_FIELDS: [&str; 3] = [SETUP_TOKEN, SETUP_TOKEN_MINTED_AT, SETUP_TOKEN_EXPIRES_AT];

/// The time at which the user was offboarded, RFC 3339. If it is set, the document is not used
/// until an administrator adopts the name. Empty or missing means not offboarded.
pub const OFFBOARDED_AT: &str = "claude_offboarded_at";

/// All fields of this project. Any other field belongs to another tool.
pub const OUR_FIELDS: [&str; 10] = [
    LOGIN,
    EXPIRES_AT,
    BACKED_UP_AT,
    MACHINE,
    ACCOUNT,
    ORGANIZATION,
    SETUP_TOKEN,
    SETUP_TOKEN_MINTED_AT,
    SETUP_TOKEN_EXPIRES_AT,
    OFFBOARDED_AT,
];

/// The parsed fields of a document.
#[derive(Debug)]
pub struct UserDocument {
    /// The version of the document.
    pub version: u64,
    /// The latest backup.
    pub backup: Backup,
    /// The machine that wrote the backup. The former script did not record it.
    pub machine: Option<String>,
    /// The time of the backup.
    pub backed_up_at: Option<Timestamp>,
    /// The setup token.
    pub setup_token: SetupTokenField,
    /// The dates of the setup token. An invalid date counts as missing.
    pub setup_token_dates: SetupTokenDates,
    /// True if the user was offboarded.
    pub is_offboarded: bool,
}

/// The backup in a document.
#[derive(Debug)]
pub enum Backup {
    /// There is no backup yet.
    None,
    /// A complete login.
    Login(Login),
    /// The field is not a complete login. It is never restored, and the next valid login replaces
    /// it.
    Malformed(&'static str),
}

/// The setup token in a document.
#[derive(Debug, PartialEq, Eq)]
pub enum SetupTokenField {
    /// The field is missing.
    Absent,
    /// The field is empty: the token was removed.
    Empty,
    /// A well-formed token.
    Token(SetupToken),
    /// Any other value, which neither sets nor removes a token.
    Malformed(SetupTokenError),
}

impl UserDocument {
    /// Parses the fields. Total: each value has a result.
    pub fn parse(document: &Document) -> Self {
        let field = |name| text(document.fields.get(name).map(Box::as_ref)).filter(|text| !text.is_empty());
        let date = |name| field(name).and_then(|text| Timestamp::parse_rfc3339(&text));
        let owner = Owner { account: field(ACCOUNT), organization: field(ORGANIZATION) };
        Self {
            version: document.version,
            backup: backup(document.fields.get(LOGIN).map(Box::as_ref)).with_known_owner(&owner),
            machine: field(MACHINE),
            backed_up_at: field(BACKED_UP_AT).and_then(|text| Timestamp::parse_rfc3339(&text)),
            setup_token: setup_token(document.fields.get(SETUP_TOKEN).map(Box::as_ref)),
            setup_token_dates: SetupTokenDates {
                minted_at: date(SETUP_TOKEN_MINTED_AT),
                expires_at: date(SETUP_TOKEN_EXPIRES_AT),
            },
            is_offboarded: is_offboarded(document),
        }
    }

    /// Returns the setup token, if it is well-formed.
    pub fn token(&self) -> Option<&SetupToken> {
        match &self.setup_token {
            SetupTokenField::Token(token) => Some(token),
            _ => None,
        }
    }

    /// Returns the backup, if it is a complete login.
    pub fn login(&self) -> Option<&Login> {
        match &self.backup {
            Backup::Login(login) => Some(login),
            _ => None,
        }
    }

    /// Converts the document into its backup, if that is a complete login.
    pub fn into_login(self) -> Option<Login> {
        match self.backup {
            Backup::Login(login) => Some(login),
            _ => None,
        }
    }
}

/// Returns true if a document is marked as offboarded. A mark with an invalid time counts.
pub fn is_offboarded(document: &Document) -> bool {
    let mark = document.fields.get(OFFBOARDED_AT).map(|raw| raw.get());
    mark.is_some_and(|mark| !matches!(mark, "null" | r#""""#))
}

/// Returns the fields that mark a document as offboarded, or that clear the mark if `at` is `None`.
///
/// # Errors
/// None in practice: a string is always valid JSON.
pub fn offboarding_fields(at: Option<Timestamp>) -> Result<Fields, serde_json::Error> {
    let at = at.map(|at| at.to_string()).unwrap_or_default();
    Ok(Fields::from([(OFFBOARDED_AT.to_owned(), to_raw_value(&at)?)]))
}

impl Backup {
    /// Fills in the owner from the fields beside the login, where the login does not name it.
    fn with_known_owner(self, owner: &Owner) -> Self {
        match self {
            Self::Login(mut login) => {
                login.summary.owner = login.summary.owner.merged_with(owner);
                Self::Login(login)
            }
            other => other,
        }
    }
}

/// Returns the fields that back up `login`.
///
/// # Errors
/// None in practice: a string is always valid JSON.
pub fn backup_fields(login: &Login, now: Timestamp, machine: &str) -> Result<Fields, serde_json::Error> {
    let owner = &login.summary.owner;
    let mut fields = Fields::from([
        (LOGIN.to_owned(), to_raw_value(login.json.expose())?),
        (EXPIRES_AT.to_owned(), to_raw_value(&login.summary.expires_at.millis().to_string())?),
        (BACKED_UP_AT.to_owned(), to_raw_value(&now.to_string())?),
        (MACHINE.to_owned(), to_raw_value(machine)?),
    ]);
    if *owner != Owner::default() {
        // Both, so that neither stays from another account. A merge cannot remove a field.
        for (name, value) in [(ACCOUNT, &owner.account), (ORGANIZATION, &owner.organization)] {
            fields.insert(name.to_owned(), to_raw_value(value.as_deref().unwrap_or_default())?);
        }
    }
    Ok(fields)
}

/// Returns the fields that activate `token`, with its dates. Unknown dates are set to empty,
/// because the existing ones belong to another token.
///
/// # Errors
/// None in practice: a string is always valid JSON.
pub fn setup_token_fields(token: &SetupToken, dates: SetupTokenDates) -> Result<Fields, serde_json::Error> {
    let date = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string()).unwrap_or_default();
    three_fields(token.expose(), &date(dates.minted_at), &date(dates.expires_at))
}

/// Returns the fields that deactivate the setup token.
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
    let Some(text) = text(Some(field)) else { return Backup::Malformed("the field is not a string") };
    let Ok(object) = serde_json::from_str::<&RawValue>(&text) else {
        return Backup::Malformed("it is not JSON");
    };
    match login::parse(object) {
        ParsedLogin::Complete(login) | ParsedLogin::RefreshFirst(login, AccessProblem::MissingScope) => {
            Backup::Login(login)
        }
        ParsedLogin::RefreshFirst(_, problem) => Backup::Malformed(problem.as_str()),
        ParsedLogin::Cleared => Backup::Malformed("it is a cleared login"),
        ParsedLogin::NotRefreshable(login) => Backup::Malformed(login.why),
        ParsedLogin::Invalid(why) => Backup::Malformed(why),
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
    fn backup_fields_parse_to_the_same_login() {
        let object = serde_json::from_str::<&RawValue>(OBJECT).expect("it is JSON");
        let ParsedLogin::Complete(login) = login::parse(object) else { panic!("this is a login") };
        let fields = backup_fields(&login, Timestamp::from_millis(0), "desk/1").expect("strings are JSON");
        let read = UserDocument::parse(&Document { fields, version: 1 });
        assert_eq!(read.login().map(|login| login.json.expose().as_str()), Some(OBJECT));
        assert_eq!(read.machine.as_deref(), Some("desk/1"));
    }

    #[test]
    fn backup_field_without_a_login_is_malformed() {
        let tombstone = r#"{\"accessToken\":\"\",\"refreshToken\":\"\",\"expiresAt\":0}"#;
        for (json, expected) in [
            ("{}".to_owned(), None),
            (r#"{"claude_ai_oauth_json":""}"#.to_owned(), None),
            (r#"{"claude_ai_oauth_json":null}"#.to_owned(), None),
            (r#"{"claude_ai_oauth_json":7}"#.to_owned(), Some("the field is not a string")),
            (r#"{"claude_ai_oauth_json":"{"}"#.to_owned(), Some("it is not JSON")),
            (format!(r#"{{"claude_ai_oauth_json":"{tombstone}"}}"#), Some("it is a cleared login")),
        ] {
            match (document(&json).backup, expected) {
                (Backup::None, None) => (),
                (Backup::Malformed(why), Some(expected)) => assert_eq!(why, expected),
                (found, _) => panic!("{json}: {found:?}"),
            }
        }
    }

    #[test]
    fn owner_of_a_backup_comes_from_its_fields_if_missing() {
        let kept = |own: &str| {
            let labelled = r#""claude_account_uuid":"one","claude_organization_uuid":"""#;
            let json = OBJECT.replacen('{', &format!("{{{own}"), 1).replace('"', "\\\"");
            let document = document(&format!(r#"{{"claude_ai_oauth_json":"{json}",{labelled}}}"#));
            document.login().expect("a login").summary.owner.clone()
        };
        let account = |name: &str| Owner { account: Some(name.into()), organization: None };
        assert_eq!(kept(""), account("one"));
        assert_eq!(
            kept(r#""accountUuid":"two","#),
            account("two"),
            "the login's own account takes precedence"
        );
    }

    #[test]
    fn document_with_any_offboarding_mark_is_offboarded() {
        for (mark, expected) in [
            ("null", false),
            (r#""""#, false),
            (r#""2026-11-30T00:00:00Z""#, true),
            (r#""yes""#, true),
            ("true", true),
        ] {
            let json = format!(r#"{{"claude_offboarded_at":{mark}}}"#);
            assert_eq!(document(&json).is_offboarded, expected, "{mark}");
        }
        let marked = offboarding_fields(Some(Timestamp::from_millis(0))).expect("strings are JSON");
        assert!(is_offboarded(&Document { fields: marked, version: 1 }));
        let cleared = offboarding_fields(None).expect("strings are JSON");
        assert!(!is_offboarded(&Document { fields: cleared, version: 2 }));
    }

    #[test]
    fn invalid_setup_token_date_counts_as_missing() {
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
    fn setup_token_fields_are_set_and_cleared_with_their_dates() {
        let token = SetupToken::parse("sk-ant-oat01-abc").expect("well-formed");
        let minted = Timestamp::from_millis(1_750_000_000_000);
        let fields =
            setup_token_fields(&token, SetupTokenDates { minted_at: Some(minted), expires_at: None })
                .expect("strings are JSON");
        let field = |name: &str| fields.get(name).map(|raw| raw.get().to_owned());
        assert_eq!(field(SETUP_TOKEN_MINTED_AT).as_deref(), Some(r#""2025-06-15T15:06:40Z""#));
        assert_eq!(field(SETUP_TOKEN_EXPIRES_AT).as_deref(), Some(r#""""#));
        let read = UserDocument::parse(&Document { fields, version: 1 });
        assert_eq!(read.setup_token, SetupTokenField::Token(token));
        let fields = clear_setup_token_fields().expect("strings are JSON");
        assert_eq!(UserDocument::parse(&Document { fields, version: 2 }).setup_token, SetupTokenField::Empty);
    }

    #[test]
    fn malformed_setup_token_field_is_not_a_token() {
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
