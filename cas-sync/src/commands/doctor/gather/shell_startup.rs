//! Assignments in the files that shells and sessions read at their start. They are not run, so this sees what stands there
//! plainly: one assignment or more on a line.

use std::path::{Path, PathBuf};

use cas_core::fs::regular_file;

use super::super::facts::{Override, Place};
use super::shown;
use crate::precedence::settings;

/// Where it is set, Claude Code has another home for everything.
pub(super) const ELSEWHERE: &str = "CLAUDE_CONFIG_DIR";

pub(super) fn is_about_credentials(name: &str) -> bool {
    settings::is_about_credentials(name) || name == ELSEWHERE
}

/// The longest file that is read, in bytes.
const LIMIT: usize = 4 << 20;

/// Below the home.
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

/// Folders of such files, with their ending.
const FOLDERS: [(&str, &str); 2] = [(".config/environment.d", "conf"), (".config/fish/conf.d", "fish")];

/// What they set.
pub(super) fn of(home: &Path) -> Vec<Override> {
    let files = FILES.iter().map(|name| home.join(name));
    let more = FOLDERS.iter().flat_map(|(folder, ending)| with_ending(&home.join(folder), ending));
    files.chain(more).flat_map(|path| in_file(&path)).collect()
}

fn with_ending(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|found| found == ending)).collect();
    paths.sort();
    paths
}

fn in_file(path: &Path) -> Vec<Override> {
    let Ok(Some(text)) = regular_file::read(path, LIMIT) else { return Vec::new() };
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines = text.lines().enumerate();
    let shadows = lines.flat_map(|(index, line)| {
        let place =
            move |name| Override { place: Place::StartFile { path: shown(path), line: index + 1 }, name };
        assigned(line).into_iter().map(place)
    });
    shadows.collect()
}

/// The names of our concern that a line gives a value.
fn assigned(line: &str) -> Vec<String> {
    // What our own launcher prints is the person's own token.
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

/// Nothing is as good as unset.
fn is_value(text: &str) -> bool {
    !text.trim_matches(['"', '\'', ' ']).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_seen_in_each_shell_and_nothing_else_is_one() {
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
    fn the_file_and_the_line_are_named_and_no_file_is_waited_for() {
        let home = tempfile::tempdir().expect("a scratch home");
        let write = |name: &str, text: &str| {
            let path = home.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        write(".bashrc", "a=b\nexport ANTHROPIC_AUTH_TOKEN=x\n");
        write(".config/environment.d/50-key.conf", "ANTHROPIC_API_KEY=x\n");
        write(".config/environment.d/50-key.conf.bak", "ANTHROPIC_BASE_URL=x\n");
        nix::unistd::mkfifo(&home.path().join(".profile"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        let found = of(home.path());
        let place = |name: &str, line| Place::StartFile { path: shown(&home.path().join(name)), line };
        let expected = [
            Override { place: place(".bashrc", 2), name: "ANTHROPIC_AUTH_TOKEN".into() },
            Override {
                place: place(".config/environment.d/50-key.conf", 1),
                name: "ANTHROPIC_API_KEY".into(),
            },
        ];
        assert_eq!(found, expected);
    }
}
