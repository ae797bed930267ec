//! The documents, held to what is there.

use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    fs::read_to_string(workspace().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The crates named in the root's Cargo.toml, but for our own.
fn dependencies() -> Vec<String> {
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
        .filter(|name| name != "crate")
        .collect();
    let dependencies = dependencies();
    assert!(dependencies.len() > 10, "{dependencies:?}");
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

#[test]
fn every_page_that_a_page_points_to_exists() {
    let pages = fs::read_dir(workspace().join("docs")).expect("the documents");
    let names = pages.map(|entry| format!("docs/{}", entry.expect("an entry").file_name().to_string_lossy()));
    let names = names.filter(|name| name.ends_with(".md"));
    for page in names.chain(["README.md".to_owned()]) {
        for word in read(&page).split(|character: char| "()`[] \n,;".contains(character)) {
            let is_page = word.starts_with("docs/") && word.ends_with(".md");
            assert!(!is_page || workspace().join(word).exists(), "{page} points to {word}");
        }
    }
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
