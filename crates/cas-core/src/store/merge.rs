//! Checks changes to a document before they are written: whether they change anything, and whether
//! every store applies them alike.

use serde_json::value::RawValue;

use super::{Fields, StoreError};

/// Returns true if setting `changes` would change nothing. A server may write a string in another
/// way (`<` as `\u003c`), so parsed values are compared.
pub fn is_unchanged(fields: &Fields, changes: &Fields) -> bool {
    changes.iter().all(|(name, value)| fields.get(name).is_some_and(|old| is_same(old, value)))
}

fn is_same(one: &RawValue, other: &RawValue) -> bool {
    let parse = |raw: &RawValue| serde_json::from_str::<serde_json::Value>(raw.get()).ok();
    one.get() == other.get() || (parse(one).is_some() && parse(one) == parse(other))
}

/// Rejects a change that a merge and a replacement apply differently: a merge patch removes a
/// member for `null`, at any depth, and merges objects instead of replacing them.
pub fn reject_null_or_object(changes: &Fields) -> Result<(), StoreError> {
    let is_ambiguous = |value: &RawValue| value.get() == "null" || value.get().starts_with('{');
    match changes.iter().find(|(_, value)| is_ambiguous(value)) {
        Some((name, _)) => Err(StoreError::Refused {
            reason: format!("the new value of {name:?} is null or an object, which a merge would not set"),
            remedy: "this is a defect of claude-auth-sync; report it".to_owned(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn values_that_differ_in_spelling_are_equal() {
        let old = fields(r#"{"a":"x\u003cy","n":12,"l":[1, 2]}"#);
        assert!(is_unchanged(&old, &fields(r#"{"a":"x<y"}"#)));
        assert!(is_unchanged(&old, &fields(r#"{"l":[1,2],"n":12}"#)));
        assert!(is_unchanged(&old, &fields("{}")));
        for different in [r#"{"a":"x<z"}"#, r#"{"n":"12"}"#, r#"{"n":13}"#, r#"{"new":1}"#] {
            assert!(!is_unchanged(&old, &fields(different)), "{different}");
        }
    }

    #[test]
    fn null_or_object_is_rejected_and_named() {
        assert_eq!(reject_null_or_object(&fields(r#"{"a":"null","b":[null],"c":0}"#)), Ok(()));
        for (changes, name) in [(r#"{"a":1,"b":null}"#, "\"b\""), (r#"{"a":{"x":null}}"#, "\"a\"")] {
            let refused = reject_null_or_object(&fields(changes)).unwrap_err().to_string();
            assert!(refused.contains(name), "{refused}");
        }
    }
}
