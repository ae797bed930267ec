//! The roster: who of this fleet is to be looked after. Of its many keys two are ours; the others belong to other tools and
//! are not even looked at. What could be meant in two ways is an error that names the line.

mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cas_protocol::paths::is_valid_user_name;

use self::yaml::{LineError, Node, Pair, Value};

/// Where it lies.
pub(crate) const DEFAULT_PATH: &str = "/etc/claude-auth-sync/roster.yaml";

const CLAUDE_AUTH: &str = "claude_auth";
const PARKED: &str = "parked";

/// The keys of others that are known: they are near misses of nothing.
const OTHERS: [&str; 6] = ["authentik_user", "k8s_user", "tier", "namespaces", "code_layout", "repos"];

/// Who is in the roster.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Roster {
    /// By login name.
    pub(crate) people: BTreeMap<String, Entry>,
    /// Whether the last line has its end: without it the file may be half written.
    pub(crate) is_whole: bool,
}

/// What it says of one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The line with the name, from 1.
    pub(crate) line: usize,
    /// Whether Claude logins are to be looked after (default true).
    pub(crate) claude_auth: bool,
    /// Whether the person is away (default false).
    pub(crate) parked: bool,
}

impl Entry {
    /// Whether this person is to be looked after.
    pub(crate) fn is_enabled(&self) -> bool {
        self.claude_auth && !self.parked
    }
}

/// Understands the text of a roster, read from `path`.
///
/// # Errors
/// [`RosterError`] for what is no roster, names nobody, or could be meant in two ways. Nobody may be offboarded over it.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Roster, RosterError> {
    let error = |(line, what): LineError| RosterError { path: path.to_owned(), line: Some(line), what };
    let nobody = || RosterError {
        path: path.to_owned(),
        line: None,
        what: "it names nobody; write `users:` and below it a line `NAME:` for each person".into(),
    };
    let root = yaml::parse(text).map_err(error)?.ok_or_else(nobody)?;
    let people = people(&root).map_err(error)?;
    if people.is_empty() {
        return Err(nobody());
    }
    Ok(Roster { people, is_whole: text.ends_with('\n') })
}

fn people(root: &Node) -> Result<BTreeMap<String, Entry>, LineError> {
    let Value::Map(entries) = &root.value else {
        return Err((root.line, "a roster is a map with the key `users`".into()));
    };
    let mut users = None;
    for (name, key, value) in keys(entries)? {
        match name {
            "users" => users = Some(value),
            other if is_near(other, "users") => {
                return Err((key.line, format!("the key {other:?}: did you mean `users`?")));
            }
            _ => {}
        }
    }
    let Some(users) = users else { return Ok(BTreeMap::new()) };
    let entries = match &users.value {
        Value::Map(entries) => entries,
        Value::Plain(text) if is_null(text) => return Ok(BTreeMap::new()),
        _ => {
            return Err((
                users.line,
                "`users` must be a map of login names: write `NAME:` instead of `- NAME`".into(),
            ));
        }
    };
    keys(entries)?.into_iter().map(|(name, key, value)| person(name, key, value)).collect()
}

fn person(name: &str, key: &Node, value: &Node) -> Result<(String, Entry), LineError> {
    if !is_valid_user_name(name.as_bytes()) {
        return Err((key.line, format!("{name:?} cannot be a login name")));
    }
    let mut entry = Entry { line: key.line, claude_auth: true, parked: false };
    match &value.value {
        Value::Plain(text) if is_null(text) => {}
        Value::Map(entries) => {
            for (name, key, value) in settings(entries)? {
                match name {
                    CLAUDE_AUTH => entry.claude_auth = truth(name, value)?,
                    PARKED => entry.parked = truth(name, value)?,
                    other => refuse_near_miss(other, key)?,
                }
            }
        }
        _ => return Err((value.line, format!("what stands below {name} must be keys with values"))),
    }
    Ok((name.to_owned(), entry))
}

type Member<'tree> = (&'tree str, &'tree Node, &'tree Node);

/// The keys of a person with those that `<<` takes over from elsewhere, which come first: the person's own count more.
fn settings(entries: &[Pair]) -> Result<Vec<Member<'_>>, LineError> {
    let own = keys(entries)?;
    let mut all = Vec::new();
    for (_, _, value) in own.iter().filter(|(name, ..)| *name == "<<") {
        let sources = match &value.value {
            Value::List(sources) => sources.iter().map(Rc::as_ref).collect(),
            _ => vec![*value],
        };
        // Of several the first counts most.
        for source in sources.into_iter().rev() {
            let Value::Map(entries) = &source.value else {
                return Err((value.line, "`<<` takes over maps only".into()));
            };
            let taken = keys(entries)?;
            if let Some((_, key, _)) = taken.iter().find(|(name, ..)| *name == "<<") {
                return Err((key.line, "`<<` within what `<<` takes over: write the keys out".into()));
            }
            all.extend(taken);
        }
    }
    all.extend(own.into_iter().filter(|(name, ..)| *name != "<<"));
    Ok(all)
}

/// The members of a map whose keys are text and stand once.
fn keys(entries: &[Pair]) -> Result<Vec<Member<'_>>, LineError> {
    let mut first_lines = BTreeMap::new();
    let mut members = Vec::new();
    for Pair { key, value } in entries {
        let (Value::Plain(name) | Value::Quoted(name)) = &key.value else {
            return Err((key.line, "a key must be text".into()));
        };
        if let Some(first) = first_lines.insert(name.as_str(), key.line) {
            return Err((
                key.line,
                format!("{name:?} stands here a second time; the first is in line {first}"),
            ));
        }
        members.push((name.as_str(), key.as_ref(), value.as_ref()));
    }
    Ok(members)
}

fn refuse_near_miss(name: &str, key: &Node) -> Result<(), LineError> {
    let meant = [CLAUDE_AUTH, PARKED].into_iter().find(|ours| is_near(name, ours));
    match meant.filter(|_| !OTHERS.contains(&name)) {
        Some(ours) => Err((key.line, format!("the key {name:?}: did you mean `{ours}`?"))),
        None => Ok(()),
    }
}

/// Spelled as one might by mistake: other case, dashes, a letter or two.
fn is_near(name: &str, ours: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' ', '.'], "");
    let tolerated = if ours.len() > 8 { 2 } else { 1 };
    strsim::damerau_levenshtein(&plain(name), &plain(ours)) <= tolerated
}

/// As YAML 1.1 and 1.2 write truth values; text in quotes is none in either.
fn truth(name: &str, value: &Node) -> Result<bool, LineError> {
    let text = match &value.value {
        Value::Plain(text) => text.as_str(),
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

/// A roster that cannot be used: which line, and what to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RosterError {
    path: PathBuf,
    line: Option<usize>,
    what: String,
}

impl RosterError {
    /// The whole file is at fault.
    pub(crate) fn of_file(path: &Path, what: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), line: None, what: what.to_string() }
    }
}

impl fmt::Display for RosterError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.line {
            Some(line) => write!(formatter, "{path}, line {line}: {}", self.what),
            None => write!(formatter, "{path}: {}", self.what),
        }
    }
}

impl std::error::Error for RosterError {}

#[cfg(test)]
mod tests;
