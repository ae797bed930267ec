//! How JavaScript reads JSON values of an unexpected type. Claude Code compares members of a login
//! without a check of their type, so the rules of the language decide what a file means to it.
//!
//! The suite `credential_files` compares the result with the real clients.

use serde_json::value::RawValue;

/// How deep a list of one element may be nested to count as a number. JavaScript has no limit, but
/// a user's file must not decide how much stack and time a login needs.
const MAX_DEPTH: usize = 8;

/// Returns true if JavaScript takes the value as true: not `null`, `false`, `0` or an empty text.
pub(super) fn is_truthy(json: &str) -> bool {
    match json {
        "null" | "false" | "\"\"" => false,
        _ => !json.starts_with(['-', '0']) || json.parse() != Ok(0.0),
    }
}

/// Returns the number that JavaScript compares for this value. `None` stands for NaN, which is
/// neither less nor greater than any number.
pub(super) fn number(json: &str) -> Option<f64> {
    number_at_depth(json, 0)
}

fn number_at_depth(json: &str, depth: usize) -> Option<f64> {
    match json.as_bytes().first()? {
        b'n' | b'f' => Some(0.0),
        b't' => Some(1.0),
        b'"' => number_of_text(&serde_json::from_str::<String>(json).ok()?),
        b'[' if depth == MAX_DEPTH => None,
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            match elements.as_slice() {
                [] => Some(0.0),
                [element] => number_of_element(element.get(), depth + 1),
                _ => None,
            }
        }
        b'{' => None,
        _ => json.parse().ok(),
    }
}

/// A list of one element becomes the text of that element first.
fn number_of_element(json: &str, depth: usize) -> Option<f64> {
    match json {
        "null" => Some(0.0),
        "true" | "false" => None,
        _ => number_at_depth(json, depth),
    }
}

fn number_of_text(text: &str) -> Option<f64> {
    let text = text.trim_matches(|character: char| character.is_whitespace() || character == '\u{feff}');
    if text.is_empty() {
        return Some(0.0);
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        let digits = text.get(..2).filter(|start| start.eq_ignore_ascii_case(prefix)).map(|_| &text[2..]);
        if let Some(digits) = digits {
            let is_unsigned = !digits.starts_with(['+', '-']);
            #[expect(clippy::cast_precision_loss, reason = "JavaScript rounds as well")]
            return u64::from_str_radix(digits, radix)
                .ok()
                .filter(|_| is_unsigned)
                .map(|number| number as f64);
        }
    }
    match text.trim_start_matches(['+', '-']) {
        "Infinity" => Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        // Rust knows "inf" and "nan" too.
        digits if digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte)) => {
            text.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row is what `Number(value)` returns in a JavaScript engine.
    #[test]
    fn values_become_numbers_as_in_javascript() {
        let rows = [
            ("null", Some(0.0)),
            ("true", Some(1.0)),
            ("false", Some(0.0)),
            ("7", Some(7.0)),
            ("-1.5e3", Some(-1500.0)),
            ("1e400", Some(f64::INFINITY)),
            (r#""""#, Some(0.0)),
            (r#"" \n""#, Some(0.0)),
            (r#"" 12.5 ""#, Some(12.5)),
            (r#""1.""#, Some(1.0)),
            (r#"".5""#, Some(0.5)),
            (r#""+5""#, Some(5.0)),
            (r#""0x10""#, Some(16.0)),
            (r#""0b11""#, Some(3.0)),
            (r#""0x-1""#, None),
            (r#""Infinity""#, Some(f64::INFINITY)),
            (r#""-Infinity""#, Some(f64::NEG_INFINITY)),
            (r#""inf""#, None),
            (r#""nan""#, None),
            (r#""1_0""#, None),
            (r#""2020-01-01""#, None),
            ("[]", Some(0.0)),
            ("[7]", Some(7.0)),
            (r#"["7"]"#, Some(7.0)),
            ("[[7]]", Some(7.0)),
            ("[null]", Some(0.0)),
            ("[true]", None),
            ("[1,2]", None),
            ("{}", None),
        ];
        for (json, expected) in rows {
            assert_eq!(number(json), expected, "{json}");
        }
    }

    #[test]
    fn list_nested_without_end_is_not_a_number() {
        let nested = |depth: usize| format!("{}7{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(number(&nested(MAX_DEPTH)), Some(7.0));
        assert_eq!(number(&nested(MAX_DEPTH + 1)), None);
        let thread = std::thread::Builder::new().stack_size(256 << 10);
        let deep = thread.spawn(move || number(&nested(300_000))).expect("a thread");
        assert_eq!(deep.join().expect("the stack is large enough"), None);
    }

    #[test]
    fn values_are_true_or_false_as_in_javascript() {
        for json in ["null", "false", "0", "-0", "0.0", "0e5", r#""""#] {
            assert!(!is_truthy(json), "{json}");
        }
        for json in ["true", "1", "-1", "0.5", r#"" ""#, r#""0""#, "[]", "{}"] {
            assert!(is_truthy(json), "{json}");
        }
    }
}
