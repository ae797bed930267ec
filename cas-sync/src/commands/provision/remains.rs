//! Lists what remains of an offboarded user, for an administrator who wants to delete all of it.

use cas_core::store::Document;
use cas_core::store::user_document::OUR_FIELDS;
use cas_core::system::account::Account;
use cas_core::system::identity::Identities;
use cas_vault::DocumentLayout;

/// Returns one entry for each remaining item. `document` is the stored document before it was
/// marked.
pub(super) fn list_remaining_items(
    user: &str,
    layout: Option<&DocumentLayout>,
    document: Option<&Document>,
) -> Vec<String> {
    let stored = layout.zip(document).filter(|(_, document)| document.version > 0);
    let stored = stored.map(|(layout, document)| {
        let others: Vec<_> =
            document.fields.keys().map(String::as_str).filter(|name| !OUR_FIELDS.contains(name)).collect();
        let path = layout.document_path("data", user);
        match others.is_empty() {
            true => format!("the document {path}"),
            false => format!("the document {path}, with the fields {} of other tools", others.join(" ")),
        }
    });
    let policy = layout.map(|layout| format!("the policy {}", layout.policy_name(user)));
    let home = Account::from_name(user).ok().map(|account| {
        format!("the account and its home {}, with the login and the backups in it", account.home)
    });
    let identity = Some(Identities::open().path(user)).filter(|path| path.exists());
    let identity = identity.map(|path| format!("{}, which binds the name to its uid", path.display()));
    [stored, policy, home, identity].into_iter().flatten().collect()
}
