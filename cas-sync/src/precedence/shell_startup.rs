//! Assignments in the start-up files of shells and sessions. The files are parsed, not run, so that
//! only literal assignments are found.

use std::path::{Path, PathBuf};

use cas_core::fs::regular_file;

use super::{moved_login, settings};

/// A variable that a line of a file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) path: PathBuf,
    /// The line, from 1.
    pub(crate) line: usize,
    pub(crate) name: String,
}

fn is_about_credentials(name: &str) -> bool {
    settings::is_about_credentials(name) || moved_login::VARIABLES.contains(&name)
}

/// Maximum size of a file, in bytes.
const MAX_FILE: usize = 4 << 20;

/// Relative to the home directory.
const FILES: [&str; 12] = [
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_aliases",
    ".profile",
    ".zshenv",
    ".zprofile",
    ".zshrc",
    ".zlogin",
    ".config/fish/config.fish",
    ".pam_environment",
    ".xsessionrc",
];

/// Directories of such files, with the file extension.
const DIRECTORIES: [(&str, &str); 2] = [(".config/environment.d", "conf"), (".config/fish/conf.d", "fish")];

/// Returns the assignments in the start-up files.
pub(crate) fn find(home: &Path) -> Vec<Assignment> {
    let files = FILES.iter().map(|name| home.join(name));
    let more = DIRECTORIES
        .iter()
        .flat_map(|(directory, extension)| with_extension(&home.join(directory), extension));
    files.chain(more).flat_map(|path| in_file(&path)).collect()
}

fn with_extension(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    paths.sort();
    paths
}

fn in_file(path: &Path) -> Vec<Assignment> {
    let Ok(Some(text)) = regular_file::read(path, MAX_FILE) else { return Vec::new() };
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines = text.lines().enumerate();
    let assignments = lines.flat_map(|(index, line)| {
        let entry = move |name| Assignment { path: path.to_owned(), line: index + 1, name };
        assigned(line).into_iter().map(entry)
    });
    assignments.collect()
}

/// Returns the relevant variable names that a line sets to a value.
fn assigned(line: &str) -> Vec<String> {
    // `cas-session environment` prints the user's own token.
    if line.trim_start().starts_with('#') || line.contains("cas-session") {
        return Vec::new();
    }
    let mut names = Vec::new();
    let words: Vec<&str> = line.split([' ', '\t', ';', '&', '(']).filter(|word| !word.is_empty()).collect();
    for (place, word) in words.iter().enumerate() {
        if word.starts_with('#') {
            break;
        }
        let by_shell =
            word.split_once('=').filter(|(name, value)| is_about_credentials(name) && is_value(value));
        // fish: `set -gx NAME value`; csh: `setenv NAME value`.
        let by_name = || {
            let before = words.get(..place)?.iter().rev().find(|word| !word.starts_with('-'))?;
            let value = words.get(place + 1)?;
            let sets = matches!(*before, "set" | "setenv") && is_about_credentials(word) && is_value(value);
            sets.then_some(*word)
        };
        if let Some(name) = by_shell.map(|(name, _)| name).or_else(by_name) {
            names.push(name.to_owned());
        }
    }
    names.dedup();
    names
}

/// Returns false for an empty value, which equals an unset variable.
fn is_value(text: &str) -> bool {
    !text.trim_matches(['"', '\'', ' ']).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_assignments_are_found_in_the_syntax_of_each_shell() {
        for line in [
            "ANTHROPIC_API_KEY=sk",
            "export ANTHROPIC_API_KEY='sk'",
            "  export FOO=1 ANTHROPIC_API_KEY=\"sk\" BAR=2",
            "cd /x && export ANTHROPIC_API_KEY=$(cat key)",
            "declare -x ANTHROPIC_API_KEY=sk;true",
            "set -gx ANTHROPIC_API_KEY sk",
            "set --universal --export ANTHROPIC_API_KEY sk",
            "setenv ANTHROPIC_API_KEY sk",
            "[ -n \"$X\" ] && { ANTHROPIC_API_KEY=sk; }",
        ] {
            assert_eq!(assigned(line), ["ANTHROPIC_API_KEY"], "{line}");
        }
        for line in [
            "# export ANTHROPIC_API_KEY=sk",
            "true # ANTHROPIC_API_KEY=sk",
            "unset ANTHROPIC_API_KEY",
            "export ANTHROPIC_API_KEY=",
            "export ANTHROPIC_API_KEY=''",
            "set -e ANTHROPIC_API_KEY",
            "set -gx ANTHROPIC_API_KEY",
            "echo ANTHROPIC_API_KEY",
            "MY_ANTHROPIC_API_KEY=sk",
            "ANTHROPIC_MODEL=opus",
            "export CLAUDE_CODE_OAUTH_TOKEN=$(cas-session environment)",
            "",
        ] {
            assert!(assigned(line).is_empty(), "{line}: {:?}", assigned(line));
        }
        let two = "export CLAUDE_CODE_USE_BEDROCK=1 ANTHROPIC_BASE_URL=https://gateway";
        assert_eq!(assigned(two), ["CLAUDE_CODE_USE_BEDROCK", "ANTHROPIC_BASE_URL"]);
    }

    #[test]
    fn file_and_line_are_reported_and_fifos_are_skipped() {
        let home = tempfile::tempdir().expect("a scratch home");
        let write = |name: &str, text: &str| {
            let path = home.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        };
        write(".bashrc", "a=b\nexport ANTHROPIC_AUTH_TOKEN=x\n");
        write(".config/environment.d/50-key.conf", "ANTHROPIC_API_KEY=x\n");
        write(".config/environment.d/50-key.conf.bak", "ANTHROPIC_BASE_URL=x\n");
        nix::unistd::mkfifo(&home.path().join(".profile"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        let found = find(home.path());
        let assignment = |path: &str, line, name: &str| Assignment {
            path: home.path().join(path),
            line,
            name: name.into(),
        };
        let expected = [
            assignment(".bashrc", 2, "ANTHROPIC_AUTH_TOKEN"),
            assignment(".config/environment.d/50-key.conf", 1, "ANTHROPIC_API_KEY"),
        ];
        assert_eq!(found, expected);
    }
}
