//! Simulates that hours pass: makes each time in a user's files earlier. So a simulated week takes
//! minutes, with unchanged programs and the clock of the machine.
//!
//! A time is a number of seconds, milliseconds or nanoseconds since the epoch, or a text as in RFC
//! 3339, that lies within 400 days of now. The times of files become earlier as well.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use cas_core::time::timestamp::Timestamp;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

/// The maximum distance from now of a time that is changed.
const WINDOW_SECONDS: u64 = 400 * 24 * 3600;

/// Makes the times in all files below a directory earlier. No program may use them meanwhile.
///
/// # Errors
/// Errors of the file system.
pub(super) fn age_tree(path: &Path, by: Duration) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            age_tree(&entry?.path(), by)?;
        }
    } else if found.is_file()
        && let Ok(text) = fs::read_to_string(path)
    {
        let aged = age_text(&text, by, cas_tests::now_ms());
        if aged != text {
            // In place: the product compares inodes.
            fs::write(path, aged)?;
        }
    }
    let shift = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
    let earlier = |seconds: i64, nanoseconds: i64| TimeSpec::new(seconds - shift, nanoseconds);
    let (read, written) =
        (earlier(found.atime(), found.atime_nsec()), earlier(found.mtime(), found.mtime_nsec()));
    Ok(utimensat(AT_FDCWD, path, &read, &written, UtimensatFlags::NoFollowSymlink)?)
}

/// Returns the text with earlier times.
pub(super) fn age_text(text: &str, by: Duration, now_ms: u64) -> String {
    let (mut aged, mut rest) = (String::new(), text);
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let is_start = first.is_ascii_digit() && !is_part_of_word(before);
        let token = if is_start { &rest[..token_length(rest)] } else { &rest[..first.len_utf8()] };
        match is_start.then(|| earlier(token, by, now_ms)).flatten() {
            Some(time) => aged.push_str(&time),
            None => aged.push_str(token),
        }
        before = token.chars().next_back().unwrap_or(' ');
        rest = &rest[token.len()..];
    }
    aged
}

fn is_part_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

/// Returns the length of the number or time at the start of the text.
fn token_length(text: &str) -> usize {
    let is_end = |character: char| !is_part_of_word(character) && !matches!(character, ':' | '+');
    text.find(is_end).map_or(text.len(), |end| text[..end].trim_end_matches(':').len())
}

fn earlier(token: &str, by: Duration, now_ms: u64) -> Option<String> {
    let seconds = by.as_secs();
    let is_near = |time: u64| time.abs_diff(now_ms / 1000) < WINDOW_SECONDS;
    if token.bytes().all(|byte| byte.is_ascii_digit()) {
        let unit = match token.len() {
            10 => 1,
            13 => 1_000,
            19 => 1_000_000_000,
            _ => return None,
        };
        let number: u64 = token.parse().ok()?;
        return is_near(number / unit).then(|| (number - seconds * unit).to_string());
    }
    let time = Timestamp::parse_rfc3339(token)?;
    let earlier = Timestamp::from_millis(time.millis() - seconds * 1_000);
    is_near(time.millis() / 1000).then(|| earlier.to_string())
}

#[test]
fn times_become_earlier_and_other_text_stays() {
    let now_ms = 1_764_500_000_000;
    let hour = Duration::from_secs(3600);
    for (text, expected) in [
        (r#"{"expiresAt":1764500001000,"x":1}"#, r#"{"expiresAt":1764496401000,"x":1}"#),
        (r#"{"at":[1764500000,1764500000123456789]}"#, r#"{"at":[1764496400,1764496400123456789]}"#),
        (r#"{\"at\":\"2025-11-30T12:00:00Z\"}"#, r#"{\"at\":\"2025-11-30T11:00:00Z\"}"#),
        ("2025-11-30T12:00:00Z OK fine", "2025-11-30T11:00:00Z OK fine"),
        (r#"{"expiresAt":1900000000123,"id":"a-1764500001000","n":17645000010001}"#, ""),
    ] {
        let expected = if expected.is_empty() { text } else { expected };
        assert_eq!(age_text(text, hour, now_ms), expected);
    }
}
