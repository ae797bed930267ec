//! Parses durations of the configuration and the command line: `90s`, `15min`, `3d`.

use std::time::Duration;

/// The text is not a duration. `Display` describes the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a whole number and a unit (ms, s, min, h or d), such as 90s, 15min, 2h or 3d")]
pub struct ParseDurationError;

/// Parses an integer and a unit: `ms`, `s`, `min` (or `m`), `h` or `d`, with or without a space
/// between.
///
/// # Errors
/// [`ParseDurationError`] for any other text, and for more than 2^64 seconds.
pub fn parse(text: &str) -> Result<Duration, ParseDurationError> {
    let text = text.trim();
    let end = text.find(|character: char| !character.is_ascii_digit()).ok_or(ParseDurationError)?;
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().map_err(|_| ParseDurationError)?;
    let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs).ok_or(ParseDurationError);
    match unit.trim() {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" | "min" => seconds(60),
        "h" => seconds(60 * 60),
        "d" => seconds(24 * 60 * 60),
        _ => Err(ParseDurationError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_without_one_number_and_one_unit_is_rejected() {
        for (text, expected) in [
            ("250ms", Duration::from_millis(250)),
            ("90s", Duration::from_secs(90)),
            ("15min", Duration::from_secs(900)),
            ("15 m", Duration::from_secs(900)),
            (" 2h ", Duration::from_secs(7200)),
            ("3d", Duration::from_secs(259_200)),
            ("0s", Duration::ZERO),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for text in ["", "3", "d", "-3d", "+3d", "3 days", "3.5h", "1h30min", "99999999999999999999s"] {
            assert_eq!(parse(text), Err(ParseDurationError), "{text}");
        }
        assert_eq!(parse("18446744073709551615d"), Err(ParseDurationError), "longer than can be counted");
    }
}
