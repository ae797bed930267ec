//! The roster: the list of managed users of a fleet. It has two keys of cas-sync; other keys belong
//! to other tools and are ignored. Ambiguous content is an error that names the line.

mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cas_protocol::paths::is_valid_user_name;

use self::yaml::{LineError, Node, Pair, YamlValue};

/// The default path of the roster.
pub(crate) const DEFAULT_PATH: &str = "/etc/claude-auth-sync/roster.yaml";

const CLAUDE_AUTH: &str = "claude_auth";
const PARKED: &str = "parked";

/// Known keys of other tools, which are not misspelled keys of cas-sync.
const OTHERS: [&str; 6] = ["authentik_user", "k8s_user", "tier", "namespaces", "code_layout", "repos"];

/// The content of a roster.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Roster {
    /// The entries by login name.
    pub(crate) users: BTreeMap<String, RosterEntry>,
    /// True if the file ends with a newline. Without one it may be incomplete.
    pub(crate) ends_with_newline: bool,
}

/// The entry of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RosterEntry {
    /// The line with the name, from 1.
    pub(crate) line: usize,
    /// True if Claude logins are managed (default true).
    pub(crate) claude_auth: bool,
    /// True if the user is parked (default false).
    pub(crate) parked: bool,
}

impl RosterEntry {
    /// Returns true if the user must be enrolled.
    pub(crate) fn is_enabled(&self) -> bool {
        self.claude_auth && !self.parked
    }
}

/// Parses the text of a roster from `path`.
///
/// # Errors
/// [`RosterError`] if it is not a roster, lists no user, or is ambiguous. No user is offboarded
/// because of such a roster.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Roster, RosterError> {
    let error = |(line, what): LineError| RosterError { path: path.to_owned(), line: Some(line), what };
    let no_users = || RosterError {
        path: path.to_owned(),
        line: None,
        what: "it lists no users; write `users:` and below it a line `NAME:` for each user".into(),
    };
    let root = yaml::parse(text).map_err(error)?.ok_or_else(no_users)?;
    let users = parse_users(&root).map_err(error)?;
    if users.is_empty() {
        return Err(no_users());
    }
    Ok(Roster { users, ends_with_newline: text.ends_with('\n') })
}

fn parse_users(root: &Node) -> Result<BTreeMap<String, RosterEntry>, LineError> {
    let YamlValue::Map(entries) = &root.value else {
        return Err((root.line, "a roster is a map with the key `users`".into()));
    };
    let mut users = None;
    for (name, key, value) in keys(entries)? {
        match name {
            "users" => users = Some(value),
            other if resembles(other, "users") => {
                return Err((key.line, format!("the key {other:?}: did you mean `users`?")));
            }
            _ => {}
        }
    }
    let Some(users) = users else { return Ok(BTreeMap::new()) };
    let entries = match &users.value {
        YamlValue::Map(entries) => entries,
        YamlValue::Plain(text) if is_null(text) => return Ok(BTreeMap::new()),
        _ => {
            return Err((
                users.line,
                "`users` must be a map of login names: write `NAME:` instead of `- NAME`".into(),
            ));
        }
    };
    keys(entries)?.into_iter().map(|(name, key, value)| parse_user(name, key, value)).collect()
}

fn parse_user(name: &str, key: &Node, value: &Node) -> Result<(String, RosterEntry), LineError> {
    if !is_valid_user_name(name.as_bytes()) {
        return Err((key.line, format!("{name:?} is not a valid user name")));
    }
    let mut entry = RosterEntry { line: key.line, claude_auth: true, parked: false };
    match &value.value {
        YamlValue::Plain(text) if is_null(text) => {}
        YamlValue::Map(entries) => {
            for (name, key, value) in settings(entries)? {
                match name {
                    CLAUDE_AUTH => entry.claude_auth = parse_bool(name, value)?,
                    PARKED => entry.parked = parse_bool(name, value)?,
                    other => reject_misspelled_key(other, key)?,
                }
            }
        }
        _ => return Err((value.line, format!("the value of {name} must be keys with values"))),
    }
    Ok((name.to_owned(), entry))
}

type Member<'tree> = (&'tree str, &'tree Node, &'tree Node);

/// Returns the keys of a user. Keys that `<<` merges come first, so that the user's own keys
/// override them.
fn settings(entries: &[Pair]) -> Result<Vec<Member<'_>>, LineError> {
    let own = keys(entries)?;
    let mut all = Vec::new();
    for (_, _, value) in own.iter().filter(|(name, ..)| *name == "<<") {
        let sources = match &value.value {
            YamlValue::List(sources) => sources.iter().map(Rc::as_ref).collect(),
            _ => vec![*value],
        };
        // The first of several sources wins.
        for source in sources.into_iter().rev() {
            let YamlValue::Map(entries) = &source.value else {
                return Err((value.line, "`<<` merges maps only".into()));
            };
            let taken = keys(entries)?;
            if let Some((_, key, _)) = taken.iter().find(|(name, ..)| *name == "<<") {
                return Err((key.line, "`<<` within a map that `<<` merges; write the keys out".into()));
            }
            all.extend(taken);
        }
    }
    all.extend(own.into_iter().filter(|(name, ..)| *name != "<<"));
    Ok(all)
}

/// Returns the members of a map; keys must be unique text.
fn keys(entries: &[Pair]) -> Result<Vec<Member<'_>>, LineError> {
    let mut first_lines = BTreeMap::new();
    let mut members = Vec::new();
    for Pair { key, value } in entries {
        let (YamlValue::Plain(name) | YamlValue::Quoted(name)) = &key.value else {
            return Err((key.line, "a key must be text".into()));
        };
        if let Some(first) = first_lines.insert(name.as_str(), key.line) {
            return Err((key.line, format!("{name:?} is a duplicate of the key in line {first}")));
        }
        members.push((name.as_str(), key.as_ref(), value.as_ref()));
    }
    Ok(members)
}

fn reject_misspelled_key(name: &str, key: &Node) -> Result<(), LineError> {
    let known = [CLAUDE_AUTH, PARKED].into_iter().find(|known| resembles(name, known));
    match known.filter(|_| !OTHERS.contains(&name)) {
        Some(known) => Err((key.line, format!("the key {name:?}: did you mean `{known}`?"))),
        None => Ok(()),
    }
}

/// Returns true for a misspelling: other case, dashes, or a wrong character or two.
fn resembles(name: &str, known: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' ', '.'], "");
    let tolerated = if known.len() > 8 { 2 } else { 1 };
    strsim::damerau_levenshtein(&plain(name), &plain(known)) <= tolerated
}

/// Parses a truth value of YAML 1.1 or 1.2; quoted text is not one.
fn parse_bool(name: &str, value: &Node) -> Result<bool, LineError> {
    let text = match &value.value {
        YamlValue::Plain(text) => text.as_str(),
        _ => "",
    };
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err((value.line, format!("`{name}` must be true or false"))),
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The error of an invalid roster: the line and the remedy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {what}", path.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub(crate) struct RosterError {
    path: PathBuf,
    line: Option<usize>,
    what: String,
}

impl RosterError {
    /// Creates an error about the whole file.
    pub(crate) fn for_file(path: &Path, what: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), line: None, what: what.to_string() }
    }
}

#[cfg(test)]
mod tests;
