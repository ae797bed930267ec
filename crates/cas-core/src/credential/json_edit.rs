//! Replaces one member of a JSON object and keeps every other byte.

use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Replaces the member `name` of the JSON object in `content` with `object` (JSON text), and keeps
/// every other byte. Content that is not a JSON object becomes an object with this member alone.
/// Bytes that are not UTF-8 are replaced, as Claude Code does. `name` must not need escapes.
pub fn set_member(content: &[u8], name: &str, object: &str) -> String {
    let text = &*String::from_utf8_lossy(content);
    // Claude Code cannot read a file with a byte order mark. Without the mark the other keys are
    // kept.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // An object that is followed by other bytes is kept without them.
    let whole = parse_members(text).map(|members| (text, members));
    let Some((text, members)) = whole.or_else(|| parse_leading_object(text)) else {
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

/// Removes the member `name`, which may exist any number of times, in one pass, and keeps every
/// other byte. Text that is not a JSON object becomes an empty object.
pub fn without_member(text: &str, name: &str) -> String {
    let Some(members) = parse_members(text) else { return String::from("{}") };
    let end = |index: usize| members.get(index).map_or(0, |(_, value)| position(text, value).end);
    let after_brace = text.find('{').map_or(0, |brace| brace + 1);
    let mut rest = String::from(&text[..after_brace]);
    // The end of the text that was copied or skipped so far.
    let mut copied = after_brace;
    let mut is_first = true;
    for (index, (member, _)) in members.iter().enumerate() {
        let end = end(index);
        if member == name {
            // One comma is removed too: the one after the member if no other member stands before
            // it.
            let comma = text[end..].find(',').filter(|_| is_first && index + 1 < members.len());
            copied = comma.map_or(end, |comma| end + comma + 1);
        } else {
            rest.push_str(&text[copied..end]);
            copied = end;
            is_first = false;
        }
    }
    rest.push_str(&text[copied..]);
    rest
}

/// Returns the members of a JSON object in their order, or `None` if the text is not an object.
pub(super) fn parse_members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str::<Members<'_>>(text).ok().map(|members| members.0)
}

/// Returns the range of a value that was borrowed from `text`.
pub(super) fn position(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
    start..start + value.get().len()
}

/// Returns true if the content is a JSON object, so that a new login can be written without losing
/// other members.
pub fn is_json_object(content: &[u8]) -> bool {
    parse_members(&String::from_utf8_lossy(content)).is_some()
}

/// Returns the JSON object that a text starts with, and its members, whatever follows it.
fn parse_leading_object(text: &str) -> Option<(&str, Vec<(String, &RawValue)>)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Members<'_>>();
    let members = values.next()?.ok()?.0;
    Some((&text[..values.byte_offset()], members))
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
