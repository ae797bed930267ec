//! Changes one member of a JSON object and leaves every other byte as it was.

use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Returns the content with the member `name` of its JSON object replaced by `object` (JSON text), and every other byte as it
/// was. Content that is not a JSON object becomes an object with this member alone. Bytes that are not UTF-8 are replaced as
/// Claude Code does. `name` must need no escapes.
pub fn set_member(content: &[u8], name: &str, object: &str) -> String {
    let text = &*String::from_utf8_lossy(content);
    // Claude Code cannot read a file with a byte order mark; without it the keys of others are kept.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(members) = parse_members(text) else {
        return format!("{{\"{name}\":{object}}}");
    };
    if let Some((_, old)) = members.iter().rev().find(|(member, _)| member == name) {
        let Range { start, end } = position(text, old);
        return format!("{}{object}{}", &text[..start], &text[end..]);
    }
    let after_brace = text.find('{').map_or(0, |index| index + 1);
    let comma = if members.is_empty() { "" } else { "," };
    format!("{}\"{name}\":{object}{comma}{}", &text[..after_brace], &text[after_brace..])
}

/// The members of a JSON object in their order, or nothing if the text is no object.
pub(super) fn parse_members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str::<Members<'_>>(text).ok().map(|members| members.0)
}

/// Where a value that was borrowed from `text` stands in it.
pub(super) fn position(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
    start..start + value.get().len()
}

/// Whether the content is a JSON object, so that it can be kept but for its login.
pub fn is_json_object(content: &[u8]) -> bool {
    parse_members(&String::from_utf8_lossy(content)).is_some()
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
