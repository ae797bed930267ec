//! The manual pages that are written by hand: they can be read, and they name what the programs know.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cas_core::config::{KEYS, NETWORK_VARIABLES};
use cas_tests::programs::release;

const PAGES: [&str; 5] = [
    "cas-session.1",
    "claude-auth-sync-roster.5",
    "claude-auth-sync.7",
    "claude-auth-sync.toml.5",
    "pam_cas_session.8",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/man")
}

fn source(page: &str) -> String {
    fs::read_to_string(folder().join(format!("{page}.scd"))).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// The page as a person reads it, on a screen so wide that no line is broken.
fn read(page: &str) -> String {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let file = scratch.path().join(page);
    let source = fs::File::open(folder().join(format!("{page}.scd"))).expect("a source");
    let made = Command::new("scdoc").stdin(source).output().expect("scdoc: run `make test-deps`");
    assert!(made.status.success(), "{page}: {}", String::from_utf8_lossy(&made.stderr));
    fs::write(&file, made.stdout).expect("written");
    let shown = Command::new("man")
        .args(["--warnings", "-l"])
        .arg(&file)
        .envs([("LC_ALL", "C.UTF-8"), ("MANWIDTH", "2000")])
        .stdin(Stdio::null())
        .output()
        .expect("man: run `make test-deps`");
    assert!(shown.status.success(), "{page}");
    assert_eq!(String::from_utf8_lossy(&shown.stderr), "", "{page}");
    String::from_utf8(shown.stdout).expect("UTF-8")
}

#[test]
fn every_page_is_rendered_without_a_complaint() {
    let mut found: Vec<String> = fs::read_dir(folder())
        .expect("a folder of pages")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().replace(".scd", ""))
        .collect();
    found.sort();
    assert_eq!(found, PAGES);
    for page in PAGES {
        let text = read(page);
        for section in ["NAME", "DESCRIPTION", "EXAMPLES", "SEE ALSO"] {
            assert!(text.contains(&format!("\n{section}\n")), "{page} has no {section}");
        }
    }
}

#[test]
fn every_page_that_a_page_points_to_exists() {
    const OTHERS: [&str; 5] =
        ["cas-sync.1", "cas-sync.8", "cas-sync-provision.8", "pam.d.5", "pam-auth-update.8"];
    for page in PAGES {
        let source = source(page);
        let named: Vec<&str> = source.split('*').skip(1).collect();
        let pointers = named.windows(2).filter_map(|pair| {
            let section = pair[1].strip_prefix('(')?.split(')').next()?;
            section.parse::<u8>().ok().map(|section| format!("{}.{section}", pair[0]))
        });
        let pointers: Vec<String> = pointers.collect();
        assert!(!pointers.is_empty(), "{page} points nowhere");
        for pointer in pointers {
            let is_there = PAGES.contains(&pointer.as_str()) || OTHERS.contains(&pointer.as_str());
            assert!(is_there, "{page} points to {pointer}");
        }
    }
}

#[test]
fn the_page_of_the_configuration_names_every_key_and_no_other() {
    let page = source("claude-auth-sync.toml.5");
    let (_, keys) = page.split_once("# KEYS").expect("the section of the keys");
    let (keys, _) = keys.split_once("# EXAMPLES").expect("its end");
    let is_named = |name: &str| keys.lines().any(|line| line == format!("*{name}*"));
    for key in KEYS {
        assert!(is_named(key) || keys.contains(&format!("# TABLE [{key}]")), "{key}");
    }
    for line in keys.lines().filter(|line| line.starts_with('*')) {
        assert!(KEYS.contains(&line.trim_matches('*')), "{line} is no key");
    }
    for variable in NETWORK_VARIABLES {
        assert!(page.contains(variable), "{variable}");
    }
}

#[test]
fn the_page_of_the_launcher_names_every_command_and_option_and_no_other() {
    let help = Command::new(release("cas-session")).arg("--help").output().expect("it runs");
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    let options = |text: &str| {
        let mut found: Vec<String> = text
            .split(|character: char| !(character.is_ascii_alphanumeric() || character == '-'))
            .filter(|word| word.len() > 2 && word.starts_with("--"))
            .map(str::to_owned)
            .collect();
        found.sort();
        found.dedup();
        found
    };
    let page = source("cas-session.1");
    assert!(options(&help).len() >= 7, "{help}");
    assert_eq!(options(&page), options(&help));
    for option in options(&help) {
        let described =
            page.lines().any(|line| line.starts_with('*') && line.contains(&format!("*{option}*")));
        assert!(described, "{option} is not described");
    }
    let commands = help.lines().filter_map(|line| line.strip_prefix("  cas-session ")?.split(' ').next());
    for command in commands.filter(|command| !command.starts_with('-')) {
        assert!(page.contains(&format!("\n*{command}*\n")), "{command} is not described");
    }
}
