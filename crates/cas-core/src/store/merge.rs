//! Changes to a document, before they are made: whether they are any, and whether every store takes them alike.

use serde_json::value::RawValue;

use super::{Fields, StoreError};

/// Whether setting `changes` would change nothing. The server may write a string in another way (`<` as `\u003c`), so
/// values are compared, not texts.
pub fn is_unchanged(fields: &Fields, changes: &Fields) -> bool {
    changes.iter().all(|(name, value)| fields.get(name).is_some_and(|old| is_same(old, value)))
}

fn is_same(one: &RawValue, other: &RawValue) -> bool {
    let parse = |raw: &RawValue| serde_json::from_str::<serde_json::Value>(raw.get()).ok();
    one.get() == other.get() || (parse(one).is_some() && parse(one) == parse(other))
}

/// Refuses a change that merging and replacing would not treat alike: merging takes `null` for "remove this", at any
/// depth, and merges objects instead of replacing them.
pub fn reject_null_or_object(changes: &Fields) -> Result<(), StoreError> {
    let is_ambiguous = |value: &RawValue| value.get() == "null" || value.get().starts_with('{');
    match changes.iter().find(|(_, value)| is_ambiguous(value)) {
        Some((name, _)) => Err(StoreError::Refused {
            reason: format!("the new value of {name:?} is null or an object, which a merge would not set"),
            remedy: "this is a mistake of claude-auth-sync; report it".to_owned(),
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
    fn equal_values_are_equal_in_every_spelling() {
        let old = fields(r#"{"a":"x\u003cy","n":12,"l":[1, 2]}"#);
        assert!(is_unchanged(&old, &fields(r#"{"a":"x<y"}"#)));
        assert!(is_unchanged(&old, &fields(r#"{"l":[1,2],"n":12}"#)));
        assert!(is_unchanged(&old, &fields("{}")));
        for different in [r#"{"a":"x<z"}"#, r#"{"n":"12"}"#, r#"{"n":13}"#, r#"{"new":1}"#] {
            assert!(!is_unchanged(&old, &fields(different)), "{different}");
        }
    }

    #[test]
    fn nothing_is_removed_or_half_merged_by_accident() {
        assert_eq!(reject_null_or_object(&fields(r#"{"a":"null","b":[null],"c":0}"#)), Ok(()));
        for (changes, name) in [(r#"{"a":1,"b":null}"#, "\"b\""), (r#"{"a":{"x":null}}"#, "\"a\"")] {
            let refused = reject_null_or_object(&fields(changes)).unwrap_err().to_string();
            assert!(refused.contains(name), "{refused}");
        }
    }
}
