//! The fields of a document that hold the backup of a login, as a group.

use serde_json::value::to_raw_value;

use super::Fields;
use super::user_document::{ACCOUNT, BACKED_UP_AT, EXPIRES_AT, LOGIN, MACHINE, ORGANIZATION};

/// The fields of the backup.
const BACKUP_FIELDS: [&str; 6] = [LOGIN, EXPIRES_AT, BACKED_UP_AT, MACHINE, ACCOUNT, ORGANIZATION];

/// Returns true if this field belongs to the backup of a login.
pub fn is_backup_field(name: &str) -> bool {
    BACKUP_FIELDS.contains(&name)
}

/// Returns the changes that remove the backup of a login from these fields: each of its fields that
/// is there becomes empty.
///
/// # Errors
/// None in practice: a string is always valid JSON.
pub fn clear_backup_fields(fields: &Fields) -> Result<Fields, serde_json::Error> {
    let present = BACKUP_FIELDS.into_iter().filter(|name| fields.contains_key(*name));
    present.map(|name| Ok((name.to_owned(), to_raw_value("")?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use super::super::user_document::{Backup, UserDocument};
    use super::*;

    #[test]
    fn cleared_backup_leaves_every_other_field() {
        let mut fields: Fields = serde_json::from_str(
            r#"{"claude_ai_oauth_json":"{}","backed_up_machine":"desk","setup_token":"t","vaultwarden_email":"a"}"#,
        )
        .expect("fields");
        fields.extend(clear_backup_fields(&fields).expect("JSON"));
        let text = serde_json::to_string(&fields).expect("JSON");
        assert_eq!(
            text,
            r#"{"backed_up_machine":"","claude_ai_oauth_json":"","setup_token":"t","vaultwarden_email":"a"}"#
        );
        let parsed = UserDocument::parse(&Document { fields, version: 1 });
        assert!(matches!(parsed.backup, Backup::None) && parsed.machine.is_none());
    }
}
