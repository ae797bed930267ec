//! The recordings of one test, in their own directory: compared byte for byte, or recorded again on
//! request.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use unicode_width::UnicodeWidthStr;

use crate::normalize::normalize_output;
use crate::terminal_setting::{NO_COLOR, Setting};

/// The command that makes all recordings again.
const RECORD_COMMAND: &str = "RECORD=1 cargo nextest run --locked -p cas-tests -E 'binary(guest_terminals)'";

/// The beginning of all secrets of Claude Code and of Vault; the secret part follows.
const SECRETS: [&str; 5] = ["sk-ant-oat01-", "sk-ant-ort01-", "sk-ant-api03-", "hvs.", "hvb."];

/// Returns the directory of all recordings.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings")
}

/// The recordings of one directory.
pub(crate) struct Recordings {
    folder: PathBuf,
    is_made_anew: bool,
    secrets: Vec<String>,
    taken: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Recordings {
    /// Opens the recordings in `tests/recordings/NAME`.
    ///
    /// # Panics
    /// If recording is requested in CI, where recordings are not reviewed.
    #[expect(clippy::disallowed_methods, reason = "the environment of the suites requests recording")]
    pub(crate) fn open(name: &str) -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_made_anew = is_set("RECORD");
        assert!(!(is_made_anew && is_set("CI")), "RECORD is set in CI: nothing would be compared");
        let folder = folder().join(name);
        Self { folder, is_made_anew, secrets: Vec::new(), taken: BTreeSet::new(), wrong: Vec::new() }
    }

    /// Adds texts that must not occur either.
    pub(crate) fn with_secrets(mut self, secrets: &[&str]) -> Self {
        self.secrets.extend(secrets.iter().map(|secret| (*secret).to_owned()));
        self
    }

    /// Compares the output of `scenario` with its recording.
    pub(crate) fn compare(&mut self, scenario: &str, setting: Setting, output: &str) {
        self.compare_with_commands(scenario, setting, output, &[]);
    }

    /// As above, with commands to paste, each of which is on one line of any width.
    pub(crate) fn compare_with_commands(
        &mut self,
        scenario: &str,
        setting: Setting,
        output: &str,
        complete: &[String],
    ) {
        let name = format!("{scenario}.{}.ansi", setting.name);
        let (output, path) = (normalize_output(output), self.folder.join(&name));
        let complete: Vec<String> = complete.iter().map(|text| normalize_output(text)).collect();
        let faults = faults(&output, setting, &complete, &self.secrets);
        self.wrong.extend(faults.iter().map(|fault| format!("{}: {fault}", path.display())));
        assert!(self.taken.insert(name), "{} is taken twice", path.display());
        if self.is_made_anew {
            fs::create_dir_all(&self.folder).and_then(|()| fs::write(&path, &output)).expect("recorded");
            return;
        }
        match fs::read_to_string(&path) {
            Ok(before) if before == output => {}
            Ok(before) => self.wrong.push(format!("{}\n{}", path.display(), difference(&before, &output))),
            Err(error) => self.wrong.push(format!("{}: {error}", path.display())),
        }
    }

    /// Ends the comparison. Asserts that nothing differed, and that each recording was compared.
    ///
    /// # Panics
    /// If not, and after recording, because nothing was compared then.
    #[track_caller]
    pub(crate) fn end(mut self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        for name in names.filter(|name| !self.taken.contains(name)) {
            let path = self.folder.join(&name);
            match self.is_made_anew {
                true => fs::remove_file(path).expect("removed"),
                false => self.wrong.push(format!("{}: no test records this", path.display())),
            }
        }
        let wrong = self.wrong.join("\n");
        let count = self.taken.len();
        assert!(
            !self.is_made_anew,
            "{count} RECORDINGS WERE WRITTEN, AND NONE WAS COMPARED: see `git diff {}`, look at each, and run this \
             again without RECORD.\n{wrong}",
            self.folder.display()
        );
        assert!(wrong.is_empty(), "{wrong}\nIf that is as it should be:\n    {RECORD_COMMAND}\n");
    }
}

/// Returns the faults of a recording.
fn faults(output: &str, setting: Setting, complete: &[String], secrets: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    // A terminal without colors is still a terminal, where the progress line is overwritten.
    let is_obeyed = |letter: char| letter == '\n' || (letter == '\r' && setting == NO_COLOR);
    if !setting.obeys_escapes() && output.contains(|letter: char| letter.is_control() && !is_obeyed(letter)) {
        faults.push("it holds control characters".to_owned());
    }
    if !setting.is_utf_8() && !output.is_ascii() {
        faults.push("it is not ASCII".to_owned());
    }
    let has_token = SECRETS
        .iter()
        .any(|begins| output.split(begins).skip(1).any(|rest| rest.starts_with(is_token_character)));
    let has_secret = has_token || secrets.iter().any(|secret| output.contains(secret));
    faults.extend(has_secret.then(|| "it holds a secret".to_owned()));
    let is_too_wide = |line: &&str| setting.columns.is_some_and(|columns| width(line) > usize::from(columns));
    let is_whole = |line: &str| complete.iter().any(|text| line.trim() == text);
    let plain = without_escapes(output);
    let too_wide = plain.lines().filter(is_too_wide).filter(|line| !is_whole(line));
    faults.extend(too_wide.map(|line| format!("a line is {} columns wide: {line}", width(line))));
    // At a prompt the cursor is after a blank.
    let trailing = plain.lines().filter(|line| line.ends_with(' ') && !line.ends_with(": ")).count();
    faults.extend((trailing > 0).then(|| format!("{trailing} lines end in blanks")));
    faults
}

fn is_token_character(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Returns the columns of a line, or of the text that was overwritten in it, whichever is wider.
fn width(line: &str) -> usize {
    line.split('\r').map(UnicodeWidthStr::width).max().unwrap_or(0)
}

/// Returns the text without CSI sequences (ECMA-48, 5.4), which are the only ones in use.
fn without_escapes(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|letter: char| ('@'..='~').contains(&letter)).map_or(part.len(), |end| end + 1);
        plain.push_str(part.get(end..).unwrap_or_default());
    }
    plain
}

/// Returns the lines that differ, with readable escapes.
fn difference(before: &str, after: &str) -> String {
    let (before, after): (Vec<_>, Vec<_>) = (before.split('\n').collect(), after.split('\n').collect());
    let alike = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
    let left = |lines: &[&str]| lines.len() - alike;
    let alike_at_the_end =
        before.iter().rev().zip(after.iter().rev()).take_while(|(one, other)| one == other);
    let tail = alike_at_the_end.count().min(left(&before)).min(left(&after));
    let shown = |sign: char, lines: &[&str]| -> String {
        let changed = lines.get(alike..lines.len() - tail).unwrap_or_default();
        changed.iter().map(|line| format!("{sign} {}\n", line.escape_debug())).collect()
    };
    format!("from line {} on:\n{}{}", alike + 1, shown('-', &before), shown('+', &after))
}

#[test]
fn difference_names_the_differing_lines() {
    assert_eq!(difference("a\nb\nc\n", "a\n\u{1b}[1mB\nc\n"), "from line 2 on:\n- b\n+ \\u{1b}[1mB\n");
    assert_eq!(difference("a\nb\n", "a\nb\nb\n"), "from line 3 on:\n+ b\n");
}

#[test]
fn secret_in_a_recording_is_detected() {
    use crate::terminal_setting::{C, NARROW};
    let secrets = ["hidden".to_owned()];
    let long = "x".repeat(81);
    let of =
        |text: &str, setting| faults(text, setting, &[format!("run {}", "y".repeat(81))], &secrets).len();
    for (text, setting, expected) in [
        ("fine", NARROW, 0),
        ("\x1b[1mfine\x1b[0m", NARROW, 0),
        ("\x1b[1mfine\x1b[0m", NO_COLOR, 1),
        ("jos\u{e9}", C, 1),
        ("token hvs.abc", NARROW, 1),
        ("it begins with sk-ant-oat01-", NARROW, 0),
        ("something hidden", NARROW, 1),
        (&long, NARROW, 1),
        (&format!("    run {}", "y".repeat(81)), NARROW, 0),
        (&"\u{674e}".repeat(41), NARROW, 1),
        ("blank \n", NARROW, 1),
    ] {
        assert_eq!(of(text, setting), expected, "{text:?}");
    }
}
