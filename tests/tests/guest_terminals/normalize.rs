//! Replaces the text that differs in each run by a constant text of the same width, so that the
//! layout of a recording is that of the output.

/// The replacement of every moment.
const MOMENT: &str = "2031-05-04T03:02:01Z";
/// The number of characters of the day, and of the year.
const DAY: usize = 10;
const YEAR: usize = 4;
/// The replacement of every port.
const PORT: &str = "18200";
/// The parameters of a browser URL that are random for each sign-in.
const SIGN_IN_PARAMETERS: [&str; 3] = ["state=", "code_challenge=", "?z-"];
/// The duration of a provisioning run follows this.
const TOOK: &str = " to the store, ";

/// Returns the text with the variable parts replaced.
pub(crate) fn normalize_output(text: &str) -> String {
    let text = normalize_dates(text);
    let text =
        SIGN_IN_PARAMETERS.iter().fold(text, |text, key| after(&text, key, is_value_character, |_| 'x'));
    let text = after(
        &text,
        "127.0.0.1:",
        |letter| letter.is_ascii_digit(),
        |host| PORT.chars().nth(host).unwrap_or('0'),
    );
    // The remaining days of a new token are 365 or 364: the date of its creation is kept in
    // seconds.
    normalize_progress(&normalize_lengths(&text)).replace("in 365 days", "in 364 days")
}

/// Replaces the day of each date, and its time if there is one; also of a truncated date.
fn normalize_dates(text: &str) -> String {
    let mut normalize_output = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (output, left) = match leading_date(rest) {
            0 => rest.split_at(first.len_utf8()),
            length => (MOMENT.get(..length).unwrap_or_default(), rest.get(length..).unwrap_or_default()),
        };
        normalize_output.push_str(output);
        rest = left;
    }
    normalize_output
}

/// Returns the length of the date, or 0. Its digits are at the positions of a [`MOMENT`], and all
/// other characters are equal.
fn leading_date(text: &str) -> usize {
    let fits = |(letter, model): &(char, char)| match model.is_ascii_digit() {
        true => letter.is_ascii_digit(),
        false => letter == model,
    };
    let length = text.chars().zip(MOMENT.chars()).take_while(fits).count();
    let is_cut = |length: usize| {
        text.get(length..).is_some_and(|rest| ["\u{2026}", "..."].iter().any(|mark| rest.starts_with(mark)))
    };
    match length {
        _ if length == MOMENT.len() || (length >= YEAR && is_cut(length)) => length,
        DAY.. => DAY,
        _ => 0,
    }
}

/// Returns true for base64 for URLs (RFC 4648, section 5).
fn is_value_character(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_".contains(letter)
}

/// Replaces each character after `key`, as long as it `counts`, by the one for its position.
fn after(text: &str, key: &str, counts: fn(char) -> bool, by: fn(usize) -> char) -> String {
    let mut parts = text.split(key);
    let mut normalize_output = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let length = part.chars().take_while(|letter| counts(*letter)).count();
        normalize_output.push_str(key);
        normalize_output.extend((0..length).map(by));
        normalize_output.extend(part.chars().skip(length));
    }
    normalize_output
}

/// Replaces a duration at the end of its line, where its width moves nothing.
fn normalize_lengths(text: &str) -> String {
    let normalize_output = |line: &str| match line.split_once(TOOK) {
        Some((before, took)) if took.trim_end().ends_with(" s)") => {
            format!("{before}{TOOK}0.4 s){}", if took.ends_with('\n') { "\n" } else { "" })
        }
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(normalize_output).collect()
}

/// Replaces repeated progress lines by one: their number depends on the duration.
fn normalize_progress(text: &str) -> String {
    let mut normalize_output = String::new();
    let mut is_shown = false;
    for (index, part) in text.split('\r').enumerate() {
        let total = part.split_once(" of ").and_then(|(count, rest)| {
            let total = rest.strip_suffix(" users")?;
            [count, total]
                .iter()
                .all(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
                .then_some(total)
        });
        match total {
            Some(_) if is_shown => {}
            Some(total) => {
                is_shown = true;
                normalize_output.push_str(&format!("\r10 of {total} users"));
            }
            None if index == 0 => normalize_output.push_str(part),
            None => normalize_output.extend(["\r", part]),
        }
    }
    normalize_output
}

#[test]
fn variable_text_is_replaced_at_the_same_width() {
    for (text, expected) in [
        (
            "until 2026-11-21T14:03:27Z (2026-11-21), 26-11-21",
            "until 2031-05-04T03:02:01Z (2031-05-04), 26-11-21",
        ),
        ("until 2026-\u{2026}, 2026-11-21T1... in 2026", "until 2031-\u{2026}, 2031-05-04T0... in 2026"),
        ("https://127.0.0.1:41234/v1", "https://127.0.0.1:18200/v1"),
        ("https://x/y?state=a-_9&z=1&code_challenge=Qb#", "https://x/y?state=xxxx&z=1&code_challenge=xx#"),
        (
            "3 users: 1 changed (9 requests to the store, 12.3 s)\n",
            "3 users: 1 changed (9 requests to the store, 0.4 s)\n",
        ),
        ("a\r3 of 24 users\r9 of 24 users\r   \rb", "a\r10 of 24 users\r   \rb"),
        ("jos\u{e9}: 3 of 24 users", "jos\u{e9}: 3 of 24 users"),
    ] {
        assert_eq!(normalize_output(text), expected);
    }
}
