//! Checks that root and PID 1 resolve no path in a directory that a user owns.
//!
//! Only a process that has become the user can open a path of the type of a home
//! (`cas_core::system::user_path`). These checks cover the other ways: an account literal, a path
//! that is built from text, and a unit or a package script with such a path. Each source file of
//! root that opens a path has a row in a table, with the paths that it opens.

use super::pages::section;
use super::tree::{Problem, Tree};

/// The page with the table of what root opens.
const PAGE: &str = "docs/design/security.md";
const SECTION: &str = "## What root opens";

/// The sources of the code that runs as root.
const ROOT: [&str; 20] = [
    "cas-sync/src/main.rs",
    "cas-sync/src/enrollment",
    "cas-sync/src/published_state",
    "cas-sync/src/request_dispatcher",
    "cas-sync/src/roster",
    "cas-sync/src/systemd",
    "cas-sync/src/os",
    "cas-sync/src/commands/doctor/mod.rs",
    "cas-sync/src/commands/doctor/target.rs",
    "cas-sync/src/commands/doctor/fix.rs",
    "cas-sync/src/commands/doctor/gather/machine.rs",
    "cas-sync/src/commands/metrics",
    "cas-sync/src/commands/provision",
    "cas-sync/src/commands/sessions",
    "cas-sync/src/commands/status/mod.rs",
    "cas-session/src/login.rs",
    "crates/cas-core/src/config",
    "crates/cas-core/src/system",
    "crates/cas-protocol/src",
    "pam_cas/src",
];

/// The files among them whose code runs in a process that has become the user, and the types that
/// ensure this.
const AS_USER: [&str; 5] = [
    "cas-sync/src/commands/provision/token_agent.rs",
    "cas-sync/src/published_state/state_reader.rs",
    "cas-sync/src/os/run_as_user.rs",
    "cas-session/src/login.rs",
    "crates/cas-core/src/system/account.rs",
];

/// Calls that open, list, remove or inspect a path, or start a program that may do so.
const CALLS: [&str; 26] = [
    "fs::",
    "File::",
    "OpenOptions",
    "DirBuilder",
    "owned_file::",
    "atomic_file::",
    "directories::",
    "list_names(",
    "RegularFile",
    ".exists()",
    ".is_file()",
    ".is_dir()",
    ".is_symlink()",
    "metadata()",
    ".read_dir()",
    "canonicalize",
    "read_link",
    "openat",
    "add_watch(",
    "statx(",
    "look_at(",
    "read_admin_file(",
    "remove_if_exists(",
    "tempfile",
    "Dir::",
    "Command::new(",
];

/// Code that builds a path in a home, or converts a home into a path.
const HOME_WORDS: [&str; 11] = [
    "Paths::new",
    ".credentials.json",
    "\".claude/",
    "\".claude\"",
    "\".config",
    "\".local",
    "\"/home",
    "home.to_string",
    "home.display",
    "env_var(\"HOME\")",
    ".state_directory",
];

/// Settings of a unit with paths that PID 1 resolves, itself or before the process has become the
/// user.
const UNIT_SETTINGS: [&str; 27] = [
    "PathExists",
    "PathExistsGlob",
    "PathChanged",
    "PathModified",
    "DirectoryNotEmpty",
    "ConditionPath",
    "ConditionDirectory",
    "ConditionFile",
    "AssertPath",
    "AssertDirectory",
    "AssertFile",
    "EnvironmentFile",
    "WorkingDirectory",
    "RootDirectory",
    "RootImage",
    "BindPaths",
    "BindReadOnlyPaths",
    "ReadWritePaths",
    "ReadOnlyPaths",
    "InaccessiblePaths",
    "ExecPaths",
    "NoExecPaths",
    "TemporaryFileSystem",
    "LoadCredential",
    "PIDFile",
    "StandardOutput=file:",
    "StandardInput=file:",
];

/// Parts of a path that a user controls.
const USER_PARTS: [&str; 8] = ["%h", "%i", "%I", "%u", "%U", "/home", "~", "/run/user"];

/// Checks that every source file of root that opens a path has a row, and every row such a file.
pub(super) fn check_table(tree: &Tree) -> Vec<Problem> {
    let rows: Vec<&str> =
        section(tree.text(PAGE), SECTION).lines().filter(|line| line.starts_with("| `")).collect();
    let listed: Vec<&str> = rows
        .iter()
        .filter_map(|row| row.split(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let opening: Vec<(&str, usize)> =
        sources(tree).filter_map(|(path, text)| Some((path, first_line_with(text, &CALLS)?))).collect();
    let mut problems: Vec<Problem> = opening
        .iter()
        .filter(|(path, _)| !listed.contains(path))
        .map(|(path, line)| {
            Problem::new(path, *line, format!("root opens a path here: add a row to {PAGE}, \"{SECTION}\""))
        })
        .collect();
    let stale = listed.iter().filter(|path| !opening.iter().any(|(opening, _)| opening == *path));
    problems.extend(stale.map(|path| Problem::new(PAGE, 0, format!("{path} opens nothing as root"))));
    problems
}

/// Checks that no source of root builds a path in a home, and that no source creates an account
/// with a path.
pub(super) fn check_homes(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in sources(tree).filter(|(path, _)| !AS_USER.contains(path)) {
        for (number, line) in code_lines(text) {
            if let Some(word) = HOME_WORDS.iter().find(|word| line.contains(**word)) {
                problems.push(Problem::new(
                    path,
                    number,
                    format!("root must not use {word}: use a process that has become the user"),
                ));
            }
        }
    }
    for (path, text) in
        tree.below(&["cas-sync/src", "cas-session/src", "crates"]).filter(|(path, _)| is_source(path))
    {
        if path == "crates/cas-core/src/system/account.rs" {
            continue;
        }
        for number in account_literals(text) {
            problems.push(Problem::new(
                path,
                number,
                "only become_user and Account::for_session create an account with a path",
            ));
        }
    }
    let home = "crates/cas-core/src/system/user_path.rs";
    for (number, line) in code_lines(tree.text(home)) {
        if ["AsRef", "Deref", "Borrow", "pub fn into_path", "pub fn as_path", "pub(crate)"]
            .iter()
            .any(|word| line.contains(word))
        {
            problems.push(Problem::new(
                home,
                number,
                "a UserPath must not become a path outside of the module `system`",
            ));
        }
    }
    problems
}

/// Checks that no unit lets PID 1 resolve a path that a user controls, and that no package script
/// has such a path.
pub(super) fn check_packaging(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in tree.below(&["packaging/systemd", "packaging/tmpfiles.d"]) {
        if path.ends_with(".path") || path.ends_with(".mount") || path.ends_with(".automount") {
            problems.push(Problem::new(path, 0, "PID 1 resolves its path"));
        }
        let is_tmpfiles = path.starts_with("packaging/tmpfiles.d");
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            let is_resolved = is_tmpfiles || UNIT_SETTINGS.iter().any(|setting| line.starts_with(setting));
            if is_resolved && USER_PARTS.iter().any(|part| line.contains(part)) {
                problems.push(Problem::new(
                    path,
                    number + 1,
                    "root would resolve a path that a user controls",
                ));
            }
        }
    }
    for (path, text) in
        tree.below(&["packaging/debian"]).filter(|(path, _)| path.contains("/post") || path.contains("/pre"))
    {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#'))
        {
            if ["/home", "~/", "$HOME", "/people/"].iter().any(|part| line.contains(part)) {
                problems.push(Problem::new(
                    path,
                    number + 1,
                    "a script of the package must not enter a user's directory",
                ));
            }
        }
    }
    problems
}

/// Returns the sources of the code that runs as root, without their tests.
fn sources(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.below(&ROOT).filter(|(path, _)| is_source(path))
}

fn is_source(path: &str) -> bool {
    path.ends_with(".rs") && !path.ends_with("tests.rs") && path.contains("/src/")
}

/// Returns the lines of a file before its tests, numbered from 1, without comments and imports.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let is_code = |(_, line): &(usize, &str)| {
        !line.starts_with("//") && !line.starts_with("use ") && !line.starts_with("#[cfg(")
    };
    code.lines().enumerate().map(|(index, line)| (index + 1, line.trim_start())).filter(is_code)
}

fn first_line_with(text: &str, words: &[&str]) -> Option<usize> {
    code_lines(text).find(|(_, line)| words.iter().any(|word| line.contains(word))).map(|(number, _)| number)
}

/// Returns the lines with an `Account` literal.
fn account_literals(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    for (index, _) in code.match_indices("Account {") {
        let (before, after) = (&code[..index], &code[index..]);
        let is_other_type = before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        let is_declaration =
            ["impl ", "struct ", "for ", "-> ", "let "].iter().any(|word| before.ends_with(word));
        let fields = after.split('}').next().unwrap_or_default();
        let is_comment = before.lines().last().is_some_and(|line| line.trim_start().starts_with("//"));
        if !is_other_type && !is_declaration && !is_comment && fields.contains("home") {
            found.push(before.matches('\n').count() + 1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOTS: &str = "cas-sync/src/enrollment/enroll.rs";

    fn page(rows: &str) -> String {
        format!("# Security\n\n{SECTION}\n\n| source | what |\n|---|---|\n{rows}\n## Next\n")
    }

    #[test]
    fn source_that_opens_a_path_as_root_needs_a_row() {
        let text =
            "use std::fs;\n\nfn f(path: &Path) {\n    drop(fs::read(path));\n}\n#[cfg(test)]\nmod tests {}\n";
        let tree = Tree::from_files(&[(ROOTS, text), (PAGE, &page(""))]);
        let expected = format!("root opens a path here: add a row to {PAGE}, \"{SECTION}\"");
        assert_eq!(check_table(&tree), [Problem::new(ROOTS, 4, expected)]);
        let row = format!("| `{ROOTS}` | markers |\n");
        assert_eq!(check_table(&Tree::from_files(&[(ROOTS, text), (PAGE, &page(&row))])), []);
        let only_tests = "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() { std::fs::read(\"x\"); }\n}\n";
        let stale = check_table(&Tree::from_files(&[(ROOTS, only_tests), (PAGE, &page(&row))]));
        assert_eq!(stale, [Problem::new(PAGE, 0, format!("{ROOTS} opens nothing as root"))]);
        for call in [
            "path.exists()",
            "path.symlink_metadata()",
            "std::fs::canonicalize(path)",
            "File::open(path)",
            "openat2(at, path, how)",
            "Command::new(\"find\").arg(path)",
        ] {
            let tree = Tree::from_files(&[(ROOTS, call), (PAGE, &page(""))]);
            assert_eq!(check_table(&tree).len(), 1, "{call}");
        }
    }

    #[test]
    fn home_path_made_by_root_is_reported() {
        for line in [
            "let paths = Paths::new(home, |_| None);",
            "let path = PathBuf::from(account.home.to_string()).join(\"x\");",
            "let path = home.join(\".claude/x\");",
            "let path = Path::new(\"/home\").join(user);",
        ] {
            let tree = Tree::from_files(&[(ROOTS, line)]);
            assert_eq!(check_homes(&tree).len(), 1, "{line}");
            assert_eq!(
                check_homes(&Tree::from_files(&[("cas-sync/src/user/context.rs", line)])),
                [],
                "{line}"
            );
        }
        assert_eq!(
            check_homes(&Tree::from_files(&[(ROOTS, "// Paths::new\nprintln!(\"{}\", account.home);\n")])),
            []
        );
    }

    #[test]
    fn account_literal_is_reported() {
        let path = "cas-sync/src/user/context.rs";
        for literal in
            ["let a = Account { name, uid, gid, home };", "Ok(Account {\n    name,\n    home: x.into(),\n})"]
        {
            assert_eq!(check_homes(&Tree::from_files(&[(path, literal)])).len(), 1, "{literal}");
        }
        for other in [
            "Account { name, ..account }",
            "fn f() -> Account {\n    home()\n}",
            "AccountEntry { name, uid, gid, home }",
            "fn f() {}\n#[cfg(test)]\nmod tests {\n    const A: Account = Account { home };\n}\n",
        ] {
            assert_eq!(check_homes(&Tree::from_files(&[(path, other)])), [], "{other}");
        }
    }

    #[test]
    fn home_that_becomes_a_path_is_reported() {
        let path = "crates/cas-core/src/system/user_path.rs";
        for line in ["impl AsRef<Path> for UserPath {", "    pub fn as_path(&self) -> &Path {"] {
            assert_eq!(check_homes(&Tree::from_files(&[(path, line)])).len(), 1, "{line}");
        }
    }

    #[test]
    fn unit_with_a_path_of_a_user_is_reported() {
        for (path, text) in [
            ("packaging/systemd/claude-auth-sync@.path", "[Path]\n"),
            ("packaging/systemd/a@.service", "EnvironmentFile=-/run/x/%i\n"),
            ("packaging/systemd/a@.service", "WorkingDirectory=~\n"),
            ("packaging/systemd/a@.service", "ReadWritePaths=/home\n"),
            ("packaging/systemd/a@.service", "ConditionPathExists=%h/.claude\n"),
            ("packaging/tmpfiles.d/a.conf", "d /run/user/x 0700\n"),
            ("packaging/debian/postinst", "rm -rf /var/lib/claude-auth-sync/people/*\n"),
            ("packaging/debian/prerm", "test -e /home/x\n"),
        ] {
            assert_eq!(check_packaging(&Tree::from_files(&[(path, text)])).len(), 1, "{path}: {text}");
        }
        for (path, text) in [
            (
                "packaging/systemd/a@.service",
                "User=%i\nExecStopPost=/usr/bin/cas-sync internal publish-state %i\n# EnvironmentFile=%h\n",
            ),
            ("packaging/systemd/a@.service", "ReadWritePaths=/run/claude-auth-sync\n"),
        ] {
            assert_eq!(check_packaging(&Tree::from_files(&[(path, text)])), [], "{path}: {text}");
        }
    }
}
