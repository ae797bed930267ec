//! The configured server, asked with the person's own token: what the token is and may do, found out by trying what does no
//! harm where it is allowed, and by renewing it; and whether the document is there.

use std::path::Path;
use std::time::Duration;

use cas_core::config::Config;
use cas_core::config::StoreKind;
use cas_core::state::directory::StateDirectory;
use cas_core::store::StoreError;
use cas_core::store::user_document::UserDocument;
use cas_core::system::account::{Account, Paths};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_vault::{self, Access, AdminClient, Connection, DocumentLayout, TokenInfo};

use super::super::facts::{Content, Silence, Store, Token, TokenFile, UnknownKey, Vault};
use super::shown;
use crate::os::environment;

/// How long all questions to the server may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the configuration and the server say.
pub(super) fn look(
    config: Option<&Config>,
    broken: Option<String>,
    warnings: &[String],
    account: &Account,
    paths: &Paths,
    state: &StateDirectory,
    now: Timestamp,
) -> Store {
    let with_server = config.filter(|config| config.store == StoreKind::Vault);
    Store {
        broken,
        unknown_keys: warnings.iter().filter_map(|said| unknown_key(said)).collect(),
        vault: with_server.map(|config| ask(config, account, paths, state, now)),
    }
}

/// The words of [`Config::load`] about a key that nobody knows.
fn unknown_key(said: &str) -> Option<UnknownKey> {
    let (path, rest) = said.split_once(": unknown key ")?;
    let key = rest.split(',').next()?;
    Some(UnknownKey { path: path.to_owned(), key: key.to_owned(), said: said.to_owned() })
}

fn ask(config: &Config, account: &Account, paths: &Paths, state: &StateDirectory, now: Timestamp) -> Vault {
    let mut told = Vault {
        address: config.vault.address.clone().unwrap_or_default(),
        mount: String::new(),
        document: String::new(),
        token_path: shown(&paths.vault_token_file),
        token_file: TokenFile::Fine,
        token: None,
        silence: None,
        content: Content::NotRead,
        clock_ahead: None,
    };
    let settings = Connection::from_settings(&config.vault).and_then(|server| {
        Ok((server, DocumentLayout::configured(&config.vault).map_err(|error| error.to_string())?))
    });
    let (server, layout) = match settings {
        Ok(settings) => settings,
        Err(why) => {
            told.silence = Some(Silence::Misconfigured(why));
            return told;
        }
    };
    told.mount = layout.mount.to_string();
    told.document = format!("{}/{}", layout.folder, account.name);
    let token = match token(&paths.vault_token_file, account) {
        Ok(token) => token,
        Err(unfit) => {
            told.token_file = unfit;
            return told;
        }
    };
    let deadline = Deadline::after(PATIENCE);
    let mut administration = AdminClient::new(server, layout);
    match standing(&mut administration, &token, &account.name, now, &deadline) {
        Ok(standing) => told.token = Some(standing),
        Err(failure) => told.silence = Some(silence(failure)),
    }
    told.clock_ahead = administration.server_time().map(|theirs| seconds_between(environment::now(), theirs));
    if matches!(told.token, Some(Token::Own { .. })) {
        let read =
            cas_vault::open(config, account, paths, state, now).and_then(|mut store| store.read(&deadline));
        match read {
            Ok(document) => {
                let document = UserDocument::parse(&document);
                let organization =
                    document.login().and_then(|login| login.summary.owner.organization.clone());
                told.content = Content::Read { organization };
            }
            Err(StoreError::Deleted { version, is_destroyed: false, .. }) => {
                told.content = Content::Deleted { version }
            }
            Err(StoreError::Deleted { version, .. }) => told.content = Content::Destroyed { version },
            // That is what a policy which is too narrow looks like.
            Err(StoreError::Refused { .. }) if is_too_narrow(told.token.as_ref()) => {}
            Err(failure) => told.silence = Some(silence(failure)),
        }
    }
    told
}

fn is_too_narrow(token: Option<&Token>) -> bool {
    matches!(token, Some(Token::Own { may_work: Some(false), .. }))
}

fn token(path: &Path, account: &Account) -> Result<cas_vault::Token, TokenFile> {
    cas_vault::read_token(path, account.uid).map_err(|error| match () {
        () if error.is_missing() => TokenFile::Missing,
        () if error.is_open_to_others() => TokenFile::Open { path: shown(path), why: error.reason() },
        () => TokenFile::Unfit { why: error.reason(), is_replaceable: error.is_replaceable() },
    })
}

fn standing(
    server: &mut AdminClient,
    token: &cas_vault::Token,
    user: &str,
    now: Timestamp,
    deadline: &Deadline,
) -> Result<Token, StoreError> {
    let looked_up = server.lookup_token(token, user, now.millis(), deadline)?;
    let Some(found) = looked_up else { return Ok(Token::Ended) };
    if let Some(why) = found.foreign {
        return Ok(Token::Foreign(why));
    }
    let never_renewed = match found.is_renewable {
        false => Some("it was made so".to_owned()),
        true => match server.renew(token, user, deadline) {
            Err(StoreError::Refused { reason, .. }) if reason.contains("not renew") => Some(reason),
            _ => None,
        },
    };
    let may_work = match server.has_required_access(token, user, deadline) {
        Ok(permission) => Some(permission == Access::Allowed),
        // A token that cannot be renewed is a finding of its own.
        Err(_) if never_renewed.is_some() => None,
        Err(failure) => return Err(failure),
    };
    let attempts = cas_vault::forbidden_calls(server.layout(), user);
    let mut too_wide = Vec::new();
    for attempt in attempts {
        if server.probe(token, &attempt, deadline)? == Access::Allowed {
            too_wide.push(attempt.would);
        }
    }
    let renewed = server.lookup_token(token, user, now.millis(), deadline)?;
    let expires_at = renewed.and_then(|TokenInfo { expires_at_ms, .. }| expires_at_ms);
    Ok(Token::Own { expires_at: expires_at.map(Timestamp::from_millis), never_renewed, may_work, too_wide })
}

/// The client's own words tell these apart, as they tell a person.
fn silence(failure: StoreError) -> Silence {
    match failure {
        StoreError::Busy { reason, .. } if reason.contains("sealed") => Silence::Sealed(reason),
        StoreError::Busy { reason, .. } => Silence::Busy(reason),
        StoreError::Unreachable { reason } if reason.contains("certificate") => Silence::Untrusted(reason),
        StoreError::Unreachable { reason } => Silence::Unreachable(reason),
        StoreError::Misconfigured { reason, .. } => Silence::Misconfigured(reason),
        StoreError::Refused { reason, .. } => Silence::Refused(reason),
        other @ (StoreError::Deleted { .. } | StoreError::Conflict) => Silence::Busy(other.to_string()),
    }
}

fn seconds_between(ours: Timestamp, theirs: Timestamp) -> i64 {
    let seconds = |moment: Timestamp| i64::try_from(moment.millis() / 1000).unwrap_or(i64::MAX);
    seconds(ours).saturating_sub(seconds(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_nobody_knows_is_found_in_what_the_configuration_says() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = scratch.path().join("config.toml");
        std::fs::write(&path, "[vault]\nadress = \"x\"\n").expect("a file");
        let (_, warnings) = Config::load(scratch.path()).expect("a configuration");
        let found: Vec<_> = warnings.iter().filter_map(|said| unknown_key(said)).collect();
        assert_eq!(found.len(), 1, "{warnings:?}");
        assert_eq!((found[0].path.as_str(), found[0].key.as_str()), (shown(&path).as_str(), "vault.adress"));
    }
}
