//! The configured Vault server, asked with the user's own token. Access is tested with requests
//! that do no harm if they succeed, and the token is renewed.

use std::path::Path;
use std::time::Duration;

use cas_core::config::Config;
use cas_core::config::StoreKind;
use cas_core::state::directory::StateDirectory;
use cas_core::store::StoreError;
use cas_core::store::user_document::{self, UserDocument};
use cas_core::system::account::{Account, Paths};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_vault::{self, Access, AdminClient, Connection, DocumentLayout, TokenInfo};

use super::super::facts::{Content, StoreFacts, TokenFacts, TokenFile, UnknownKey, Vault, VaultFailure};
use super::path_text;
use crate::os::environment;

/// Timeout of all requests together.
const REQUESTS_TIMEOUT: Duration = Duration::from_secs(30);

/// Collects the facts about the configuration and Vault.
pub(super) fn inspect(
    config: Option<&Config>,
    config_error: Option<String>,
    warnings: &[String],
    account: &Account,
    paths: &Paths,
    state: &StateDirectory,
    now: Timestamp,
) -> StoreFacts {
    let with_vault = config.filter(|config| config.store == StoreKind::Vault);
    StoreFacts {
        config_error,
        unknown_keys: warnings.iter().filter_map(|warning| unknown_key(warning)).collect(),
        vault: with_vault.map(|config| inspect_vault(config, account, paths, state, now)),
    }
}

/// Parses the warning of [`Config::load`] about an unknown key.
fn unknown_key(warning: &str) -> Option<UnknownKey> {
    let (path, rest) = warning.split_once(": unknown key ")?;
    let key = rest.split(',').next()?;
    Some(UnknownKey { path: path.to_owned(), key: key.to_owned(), warning: warning.to_owned() })
}

fn inspect_vault(
    config: &Config,
    account: &Account,
    paths: &Paths,
    state: &StateDirectory,
    now: Timestamp,
) -> Vault {
    let mut vault = Vault {
        url: config.vault.address.clone().unwrap_or_default(),
        mount: String::new(),
        document: String::new(),
        token_path: path_text(&paths.vault_token_file),
        token_file: TokenFile::Valid,
        token: None,
        failure: None,
        content: Content::NotRead,
        clock_ahead: None,
    };
    let settings = Connection::from_settings(&config.vault).and_then(|server| {
        Ok((server, DocumentLayout::from_settings(&config.vault).map_err(|error| error.to_string())?))
    });
    let (server, layout) = match settings {
        Ok(settings) => settings,
        Err(why) => {
            vault.failure = Some(VaultFailure::Misconfigured(why));
            return vault;
        }
    };
    vault.mount = layout.mount.to_string();
    vault.document = format!("{}/{}", layout.folder, account.name);
    let token = match token(&paths.vault_token_file, account) {
        Ok(token) => token,
        Err(problem) => {
            vault.token_file = problem;
            return vault;
        }
    };
    let deadline = Deadline::after(REQUESTS_TIMEOUT);
    let mut client = AdminClient::new(server, layout);
    match inspect_token(&mut client, &token, &account.name, now, &deadline) {
        Ok(token) => vault.token = Some(token),
        Err(failure) => vault.failure = Some(classify(failure)),
    }
    vault.clock_ahead = client.server_time().map(|server| seconds_between(environment::now(), server));
    if matches!(vault.token, Some(TokenFacts::Own { .. })) {
        let read =
            cas_vault::open(config, account, paths, state, now).and_then(|mut store| store.read(&deadline));
        match read {
            Ok(document) if user_document::is_offboarded(&document) => vault.content = Content::Offboarded,
            Ok(document) => {
                let document = UserDocument::parse(&document);
                let organization =
                    document.login().and_then(|login| login.summary.owner.organization.clone());
                vault.content = Content::Read { organization };
            }
            Err(StoreError::Deleted { version, is_destroyed: false, .. }) => {
                vault.content = Content::Deleted { version }
            }
            Err(StoreError::Deleted { version, .. }) => vault.content = Content::Destroyed { version },
            // A policy that is too narrow causes this error.
            Err(StoreError::Refused { .. }) if is_too_narrow(vault.token.as_ref()) => {}
            Err(failure) => vault.failure = Some(classify(failure)),
        }
    }
    vault
}

fn is_too_narrow(token: Option<&TokenFacts>) -> bool {
    matches!(token, Some(TokenFacts::Own { has_required_access: Some(false), .. }))
}

fn token(path: &Path, account: &Account) -> Result<cas_vault::Token, TokenFile> {
    cas_vault::read_token(path, account.uid).map_err(|error| match () {
        () if error.is_missing() => TokenFile::Missing,
        () if error.is_open_to_others() => TokenFile::Open { path: path_text(path), why: error.reason() },
        () => TokenFile::Unusable { why: error.reason(), is_replaceable: error.is_replaceable() },
    })
}

fn inspect_token(
    server: &mut AdminClient,
    token: &cas_vault::Token,
    user: &str,
    now: Timestamp,
    deadline: &Deadline,
) -> Result<TokenFacts, StoreError> {
    let info = server.lookup_token(token, user, now.millis(), deadline)?;
    let Some(found) = info else { return Ok(TokenFacts::Ended) };
    if let Some(why) = found.foreign {
        return Ok(TokenFacts::Foreign(why));
    }
    let never_renewed = match found.is_renewable {
        false => Some("it was created as not renewable".to_owned()),
        true => match server.renew(token, user, deadline) {
            Err(StoreError::Refused { reason, .. }) if reason.contains("not renew") => Some(reason),
            _ => None,
        },
    };
    let has_required_access = match server.has_required_access(token, user, deadline) {
        Ok(access) => Some(access == Access::Allowed),
        // A token that cannot be renewed has a separate finding.
        Err(_) if never_renewed.is_some() => None,
        Err(failure) => return Err(failure),
    };
    let calls = cas_vault::forbidden_calls(server.layout(), user);
    let mut excess_access = Vec::new();
    for call in calls {
        if server.probe(token, &call, deadline)? == Access::Allowed {
            excess_access.push(call.would);
        }
    }
    let renewed = server.lookup_token(token, user, now.millis(), deadline)?;
    let expires_at = renewed.and_then(|TokenInfo { expires_at_ms, .. }| expires_at_ms);
    Ok(TokenFacts::Own {
        expires_at: expires_at.map(Timestamp::from_millis),
        never_renewed,
        has_required_access,
        excess_access,
    })
}

/// Classifies the error by the text of the Vault client.
fn classify(failure: StoreError) -> VaultFailure {
    match failure {
        StoreError::Busy { reason, .. } if reason.contains("sealed") => VaultFailure::Sealed(reason),
        StoreError::Busy { reason, .. } => VaultFailure::Busy(reason),
        StoreError::Unreachable { reason } if reason.contains("certificate") => {
            VaultFailure::Untrusted(reason)
        }
        StoreError::Unreachable { reason } => VaultFailure::Unreachable(reason),
        StoreError::Misconfigured { reason, .. } => VaultFailure::Misconfigured(reason),
        StoreError::Refused { reason, .. } => VaultFailure::Refused(reason),
        other @ (StoreError::Deleted { .. } | StoreError::Conflict) => VaultFailure::Busy(other.to_string()),
    }
}

fn seconds_between(own: Timestamp, server: Timestamp) -> i64 {
    let seconds = |moment: Timestamp| i64::try_from(moment.millis() / 1000).unwrap_or(i64::MAX);
    seconds(own).saturating_sub(seconds(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_key_is_parsed_from_the_configuration_warning() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = scratch.path().join("config.toml");
        std::fs::write(&path, "[vault]\nadress = \"x\"\n").expect("a file");
        let (_, warnings) = Config::load(scratch.path()).expect("a configuration");
        let found: Vec<_> = warnings.iter().filter_map(|warning| unknown_key(warning)).collect();
        assert_eq!(found.len(), 1, "{warnings:?}");
        assert_eq!(
            (found[0].path.as_str(), found[0].key.as_str()),
            (path_text(&path).as_str(), "vault.adress")
        );
    }
}
