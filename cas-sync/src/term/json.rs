//! The JSON output of all commands: one object on one line.

use std::io::{self, Write};

use cas_core::text::escape_c1_in_json;
use serde::Serialize;

/// The version of the JSON of all commands. Members may be added; none is removed or changes its
/// meaning.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'content, Content> {
    schema: u32,
    #[serde(flatten)]
    content: &'content Content,
}

/// Prints `schema` and the members of `content`. A closed standard output changes nothing.
pub(crate) fn print(content: &impl Serialize) {
    drop(writeln!(io::stdout(), "{}", render(content)));
}

fn render(content: &impl Serialize) -> String {
    // Serialization fails only for a map whose keys are not strings.
    escape_c1_in_json(&serde_json::to_string(&Document { schema: SCHEMA, content }).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_one_line_with_a_version_and_no_control_characters() {
        let text = render(&json!({ "user": "a\n\u{9b}1m" }));
        assert_eq!(text, r#"{"schema":1,"user":"a\n\u009b1m"}"#);
    }
}
