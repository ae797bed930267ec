//! The documents, held to what is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cas_tests::programs::release;
use ring::digest::{SHA256, digest};
use serde_json::Value;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    fs::read_to_string(workspace().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The crates named in the root's Cargo.toml, but for our own, and the npm packages that draw the dashboard.
fn dependencies() -> Vec<String> {
    let package: Value =
        serde_json::from_str(&read("tests/bed/dashboard-picture/package.json")).expect("JSON");
    let packages = package["dependencies"].as_object().expect("npm packages").keys().cloned();
    crates().into_iter().chain(packages).collect()
}

fn crates() -> Vec<String> {
    let manifest = read("Cargo.toml");
    let (_, rest) = manifest.split_once("[workspace.dependencies]\n").expect("the table of dependencies");
    let table = rest.lines().take_while(|line| !line.starts_with('['));
    let names = table.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
    names.filter(|name| name != "cas-core").collect()
}

#[test]
fn every_dependency_has_its_sentence_and_no_sentence_is_left_over() {
    let page = read("docs/dependencies.md");
    let rows =
        page.lines().filter_map(|line| line.strip_prefix("| ")).filter_map(|line| line.split(" |").next());
    let named: Vec<String> = rows
        .flat_map(|cell| cell.split(", ").map(|name| name.split(' ').next().unwrap_or(name).to_owned()))
        .filter(|name| name != "crate" && name != "package")
        .collect();
    let dependencies = dependencies();
    assert!(crates().len() > 10, "{dependencies:?}");
    for dependency in &dependencies {
        assert!(named.contains(dependency), "docs/dependencies.md has no sentence for {dependency}");
    }
    for name in &named {
        assert!(
            dependencies.contains(name),
            "docs/dependencies.md has a sentence for {name}, which is not used"
        );
    }
}

/// The README and all pages of `docs/`.
fn pages() -> Vec<String> {
    let pages = fs::read_dir(workspace().join("docs")).expect("the documents");
    let names = pages.map(|entry| format!("docs/{}", entry.expect("an entry").file_name().to_string_lossy()));
    names.filter(|name| name.ends_with(".md")).chain(["README.md".to_owned()]).collect()
}

#[test]
fn every_page_that_a_page_points_to_exists() {
    for page in pages() {
        for word in read(&page).split(|character: char| "()`[] \n,;".contains(character)) {
            let is_page = word.starts_with("docs/") && word.ends_with(".md");
            assert!(!is_page || workspace().join(word).exists(), "{page} points to {word}");
        }
    }
}

/// As a heading is called in the address of its page.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_leads_to_a_page_and_a_heading_that_are_there() {
    let mut seen = 0;
    for page in pages() {
        let text = read(&page);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = Path::new(&page).parent().expect("a folder");
            let target = if file.is_empty() { PathBuf::from(&page) } else { folder.join(file) };
            assert!(workspace().join(&target).exists(), "{page} links to {link}");
            if !heading.is_empty() {
                let headings = read(&target.to_string_lossy());
                let mut headings = headings.lines().filter(|line| line.starts_with('#'));
                let is_there = headings.any(|line| anchor(line.trim_start_matches('#')) == heading);
                assert!(is_there, "{page} links to {link}");
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}

/// The text chunk of a picture that says of which dashboard it is: a keyword and what it says, with a NUL between them.
const DRAWN_FROM: &[u8] = b"tEXtdashboard-sha256\0";

#[test]
fn the_picture_of_the_dashboard_is_of_the_dashboard_as_it_is() {
    let picture = fs::read(workspace().join("docs/dashboard.png")).expect("the picture");
    let at = picture.windows(DRAWN_FROM.len()).position(|bytes| bytes == DRAWN_FROM);
    let at = at.expect("docs/dashboard.png says of which dashboard it is: run `make picture`");
    let drawn_from = String::from_utf8_lossy(&picture[at + DRAWN_FROM.len()..][..64]);
    let dashboard = digest(&SHA256, read("packaging/grafana/claude-auth.json").as_bytes());
    let dashboard: String = dashboard.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        drawn_from, dashboard,
        "docs/dashboard.png is of another dashboard: run `make picture`, and look at it"
    );
}

#[test]
fn every_configuration_key_of_the_readme_is_known_and_every_known_one_is_shown() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("```toml\n").expect("an example of the configuration");
    let example = rest.split("```").next().expect("its end");
    let directory = tempfile::tempdir().expect("a scratch directory");
    let active: String = example.lines().map(|line| format!("{}\n", line.trim_start_matches('#'))).collect();
    fs::write(directory.path().join("config.toml"), &active).expect("written");
    let (_, warnings) = cas_core::config::Config::load(directory.path()).expect("the example can be used");
    assert_eq!(warnings, Vec::<String>::new());
    for key in cas_core::config::KEYS {
        let name = key.rsplit('.').next().expect("a name");
        assert!(active.contains(name), "the README does not show {key}");
    }
}

/// The texts of all our programs, as they are said: without the line breaks that the sources have in them.
fn texts_of_the_programs() -> String {
    let mut left: Vec<PathBuf> =
        ["crates", "cas-session/src", "cas-sync/src"].map(|part| workspace().join(part)).into();
    let mut all = String::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(path).expect("a folder");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            for line in fs::read_to_string(path).expect("a source").lines() {
                match line.trim_start().strip_suffix('\\') {
                    Some(continued) => all.push_str(continued),
                    None => all.extend([line.trim_start(), "\n"]),
                }
            }
        }
    }
    all
}

/// What is quoted in the first cells of the tables of this section.
fn quoted_in<'page>(page: &'page str, heading: &str) -> Vec<&'page str> {
    let (_, section) = page.split_once(heading).expect("the section");
    let section = section.split("\n## ").next().unwrap_or(section);
    let cells =
        section.lines().filter(|line| line.starts_with("| \"")).filter_map(|row| row.split(" | ").next());
    cells.flat_map(|cell| cell.split('"').skip(1).step_by(2)).collect()
}

#[test]
fn every_text_that_the_runbook_explains_is_one_that_a_program_says() {
    let texts = texts_of_the_programs();
    let runbook = read("docs/runbook.md");
    let quoted = quoted_in(&runbook, "\n## What the journal says\n");
    assert!(quoted.len() > 40, "{quoted:?}");
    for text in quoted {
        assert!(texts.contains(text), "nobody says {text:?}");
    }
}

#[test]
fn every_alert_has_its_row_in_the_runbook_and_every_row_its_alert() {
    let mut alerts: Vec<String> = Vec::new();
    for entry in fs::read_dir(workspace().join("packaging/alerts")).expect("the alerts") {
        let rules = fs::read_to_string(entry.expect("an entry").path()).expect("rules");
        alerts.extend(rules.lines().filter_map(|line| Some(line.split_once("- alert: ")?.1.to_owned())));
    }
    let runbook = read("docs/runbook.md");
    let (_, section) = runbook.split_once("\n## Alert by alert\n").expect("the section");
    let section = section.split("\n## ").next().unwrap_or(section);
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut rows: Vec<String> = rows.map(str::to_owned).collect();
    alerts.sort();
    // What both kinds of rules tell of has one row.
    alerts.dedup();
    rows.sort();
    assert!(alerts.len() >= 4, "{alerts:?}");
    assert_eq!(rows, alerts);
}

/// The commands of `cas-sync` in what is quoted as something to type, each with its options.
fn commands_in(page: &str) -> Vec<(String, Vec<String>)> {
    let is_plain =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let mut found = Vec::new();
    for line in page.split('`').skip(1).step_by(2).flat_map(str::lines) {
        let line = line.split('#').next().unwrap_or(line);
        for typed in line.split("cas-sync ").skip(1) {
            let typed = typed.split([';', '|', '>']).next().unwrap_or(typed);
            let mut words = typed.split_whitespace();
            let Some(command) = words.next().filter(|word| is_plain(word) && !word.starts_with('-')) else {
                continue;
            };
            let options = words.take_while(|word| *word != "--").filter(|word| word.starts_with("--"));
            let options = options.map(|word| word.split('=').next().unwrap_or(word).to_owned());
            found.push((command.to_owned(), options.collect()));
        }
    }
    found
}

#[test]
fn every_command_that_a_page_says_to_type_is_one_with_these_options() {
    let mut seen = 0;
    for page in pages() {
        for (command, options) in commands_in(&read(&page)) {
            let help =
                Command::new(release("cas-sync")).args([&command, "--help"]).output().expect("it runs");
            let help_text = String::from_utf8_lossy(&help.stdout);
            assert!(help.status.success(), "{page}: `cas-sync {command}` is no command");
            for option in options {
                let is_known = help_text.split([' ', '\n', ',']).any(|word| word == option);
                assert!(is_known, "{page}: `cas-sync {command}` has no {option}");
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}
