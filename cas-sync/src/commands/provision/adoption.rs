//! `cas-sync provision --adopt NAME`: an administrator confirms that the current account of this
//! name is the user who was enrolled or offboarded under it.

use anyhow::{Context, Result, bail, ensure};
use cas_core::system::account::Account;
use cas_core::system::identity::Identities;
use cas_protocol::paths;

use super::apply::Provisioner;
use super::server::VaultServer;
use crate::enrollment::enroll;
use crate::os::undo::remove_if_exists;
use crate::published_state::published_file;

/// Binds the name to the account's uid and clears the offboarding mark in the stored document.
/// Returns a one-line description of the change.
///
/// # Errors
/// Fails if the account does not exist, or if the mark or the binding cannot be written. The
/// existing binding is then unchanged.
pub(super) fn adopt(name: &str, is_dry: bool, provisioner: &mut Provisioner) -> Result<String> {
    let account = Account::from_name(name)?;
    ensure!(account.name == name, "{name} is {} here; give the account's own name", account.name);
    ensure!(enroll::is_regular_user(&account), "user id {} cannot be enrolled", account.uid);
    if is_dry {
        return Ok(format!("{name} would be adopted with uid {}", account.uid));
    }
    // Clear the mark first: if this fails, the binding is unchanged and the command can be
    // repeated.
    let document = match (&mut provisioner.server, &provisioner.context.admin_unavailable) {
        (None, _) => "",
        (Some(_), Some(admin_unavailable)) => {
            bail!(
                "cannot determine whether the document of {name} is marked as offboarded: {admin_unavailable}"
            )
        }
        (Some(server), None) => clear_mark(server, name, &provisioner.context.host)?,
    };
    let identities = Identities::open();
    let had_other_uid = identities.bound_uid(name).ok().flatten() != Some(account.uid.as_raw());
    enroll::bind(&identities, &account)
        .with_context(|| format!("cannot bind {name} to uid {}", account.uid))?;
    if paths::is_enrolled(name) {
        // The published state describes another uid, so remove it.
        if had_other_uid {
            remove_if_exists(&published_file(name))?;
        }
        enroll::prepare(&account)?;
    }
    Ok(format!("{name} is adopted with uid {}{document}", account.uid))
}

fn clear_mark(server: &mut VaultServer, name: &str, host: &str) -> Result<&'static str> {
    let before = server
        .mark_document(name, host, None)
        .with_context(|| format!("cannot clear the mark in the document of {name}"))?;
    Ok(match cas_core::store::user_document::is_offboarded(&before) {
        true => ", and the mark in the document is cleared",
        false => "",
    })
}
