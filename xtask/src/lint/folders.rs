//! Checks the order of the folders: a folder imports only folders before it, a command imports no
//! other command, and no two modules of a folder import each other.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Problem, Tree};

/// The sources of a crate, and its folders in import order.
struct Order {
    sources: &'static str,
    folders: &'static [&'static str],
}

const ORDERS: [Order; 2] = [
    Order {
        sources: "crates/cas-core/src/",
        folders: &[
            "text",
            "time",
            "fs",
            "credential",
            "claude_files",
            "store",
            "config",
            "ledger",
            "outcome",
            "planner",
            "state",
            "system",
            "engine",
        ],
    },
    Order {
        sources: "cas-sync/src/",
        folders: &[
            "os",
            "term",
            "precedence",
            "claude",
            "systemd",
            "processes",
            "roster",
            "published_state",
            "user",
            "enrollment",
            "request_dispatcher",
            "cli",
            "commands",
        ],
    },
];

/// The folder whose modules are commands. Code that two commands share is in an earlier folder.
const COMMANDS: &str = "commands";

/// Reports each import against the order.
pub(super) fn check_order(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for order in &ORDERS {
        for (path, text) in tree.files() {
            if let Some(inside) = path.strip_prefix(order.sources).filter(|inside| inside.ends_with(".rs")) {
                check_file(path, inside, text, order.folders, &mut problems);
            }
        }
    }
    problems
}

fn check_file(path: &str, inside: &str, text: &str, folders: &[&str], problems: &mut Vec<Problem>) {
    let rank = |name: &str| folders.iter().position(|known| *known == name);
    let mut parts = inside.split('/').map(|part| part.trim_end_matches(".rs"));
    let folder = parts.next().unwrap_or_default();
    let command = parts.next().filter(|name| *name != "mod");
    let Some(own) = rank(folder) else {
        if inside.contains('/') {
            problems.push(Problem::new(path, 0, format!("the folder {folder} is not in the order")));
        }
        return;
    };
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        for imported in paths_from_root(line) {
            let mut segments = imported.split("::");
            let (to, module) =
                (segments.next().unwrap_or_default(), segments.next().filter(|name| !name.is_empty()));
            let problem = match (rank(to), command, module) {
                (Some(other), ..) if other > own => format!("{folder} must not import {to}"),
                (Some(other), Some(from), Some(to)) if other == own && folder == COMMANDS && from != to => {
                    format!("the command {from} must not import the command {to}")
                }
                _ => continue,
            };
            problems.push(Problem::new(path, number + 1, format!("{problem}: {}", line.trim())));
        }
    }
}

/// Returns the module path after each `crate::` of a line.
fn paths_from_root(line: &str) -> impl Iterator<Item = &str> {
    let is_part =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b':');
    line.split("crate::").skip(1).map(move |rest| {
        let end = rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        &rest[..end]
    })
}

/// Reports each pair of modules of a folder that import each other, directly or through other
/// modules of it.
pub(super) fn check_cycles(tree: &Tree) -> Vec<Problem> {
    let mut folders: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for (path, text) in tree.files().filter(|(path, _)| is_product(path)) {
        if let Some((folder, name)) = path.rsplit_once('/')
            && let name = name.trim_end_matches(".rs")
            && !matches!(name, "mod" | "lib" | "main")
            && !name.ends_with("tests")
        {
            folders.entry(folder).or_default().insert(name, text);
        }
    }
    folders.iter().flat_map(|(folder, modules)| cycles(folder, modules)).collect()
}

fn is_product(path: &str) -> bool {
    path.ends_with(".rs") && path.contains("/src/") && !path.starts_with("tests/")
}

fn cycles(folder: &str, modules: &BTreeMap<&str, &str>) -> Vec<Problem> {
    let graph: BTreeMap<&str, BTreeSet<&str>> =
        modules.iter().map(|(name, text)| (*name, siblings(folder, name, text, modules))).collect();
    let mut problems = Vec::new();
    for one in graph.keys() {
        for other in reachable(&graph, one).into_iter().filter(|other| one < other) {
            if reachable(&graph, other).contains(one) {
                problems.push(Problem::new(folder, 0, format!("{one} and {other} import each other")));
            }
        }
    }
    problems
}

/// Returns the modules of the same folder that a module names outside of its tests.
fn siblings<'tree>(
    folder: &str,
    own: &str,
    text: &str,
    modules: &BTreeMap<&'tree str, &str>,
) -> BTreeSet<&'tree str> {
    let inside = folder.split_once("/src/").map(|(_, inside)| inside.replace('/', "::"));
    let from_root = inside.map_or_else(|| "crate".to_owned(), |inside| format!("crate::{inside}"));
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = product.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.collect::<Vec<_>>().join("\n");
    let grouped: BTreeSet<&str> = code
        .split("use super::{")
        .skip(1)
        .filter_map(|rest| rest.split_once("};").map(|(names, _)| names))
        .flat_map(|names| names.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_'))
        .collect();
    let names = |name: &str| {
        let paths = ["super", &from_root].map(|parent| format!("{parent}::{name}"));
        grouped.contains(name)
            || paths.iter().any(|path| {
                code.match_indices(path.as_str()).any(|(at, _)| {
                    let after = code[at + path.len()..].chars().next();
                    !code[..at].ends_with("::") && matches!(after, Some(':' | ';'))
                })
            })
    };
    modules.keys().copied().filter(|name| *name != own && names(name)).collect()
}

fn reachable<'tree>(graph: &BTreeMap<&'tree str, BTreeSet<&'tree str>>, from: &str) -> BTreeSet<&'tree str> {
    let mut reached = BTreeSet::new();
    let mut left: Vec<&str> = graph.get(from).into_iter().flatten().copied().collect();
    while let Some(next) = left.pop() {
        if reached.insert(next) {
            left.extend(graph.get(next).into_iter().flatten().copied());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        check_order(&Tree::from_files(&[(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn upward_import_is_named_with_its_line() {
        assert_eq!(problems("cas-sync/src/user/report.rs", "use crate::os::now;\n"), [""; 0]);
        assert_eq!(
            problems("cas-sync/src/os/now.rs", "\nuse crate::user::report::Report;\n"),
            ["cas-sync/src/os/now.rs:2: os must not import user: use crate::user::report::Report;"]
        );
        assert_eq!(problems("cas-sync/src/os/now.rs", "    crate::commands::run::run()\n").len(), 1);
        assert_eq!(problems("cas-sync/src/os/now.rs", "/// As [`crate::user::report`].\n"), [""; 0]);
        assert_eq!(
            problems("crates/cas-core/src/misc/a.rs", "").len(),
            1,
            "a folder that is not in the order"
        );
    }

    #[test]
    fn command_that_imports_another_is_named() {
        let import = "use crate::commands::status::rows;\n";
        assert_eq!(problems("cas-sync/src/commands/metrics/mod.rs", import).len(), 1);
        assert_eq!(problems("cas-sync/src/commands/status/table.rs", import), [""; 0]);
        assert_eq!(problems("cas-sync/src/commands/status.rs", import), [""; 0]);
    }

    #[test]
    fn modules_that_import_each_other_are_named() {
        let third = |text| {
            let files = [
                ("a/src/one.rs", "use super::two::B;\n"),
                ("a/src/two.rs", "use super::three::C;\n#[cfg(test)]\nmod tests { use super::one::A; }\n"),
                ("a/src/three.rs", text),
            ];
            check_cycles(&Tree::from_files(&files)).len()
        };
        assert_eq!(third(""), 0);
        assert_eq!(third("use super::{A, one};\n"), 3, "each pair of the cycle");
    }
}
