//! `cas-sync internal token-agent`: what is done with somebody's token file is done as that person, so that nothing in a home
//! can lead anywhere its owner could not go. Root starts it, it becomes the person before it opens anything, and the two
//! talk in lines: it says what lies there, and on `prepare` and `token TOKEN` makes room and writes.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use cas_core::fs::atomic_file;
use cas_core::system::account::{Account, Paths};
use cas_core::system::privileges::become_user;
use cas_core::text::sanitize_line;
use cas_vault::{Token, parse_token, read_token};
use nix::unistd::Uid;
use zeroize::Zeroizing;

/// As long as the longest token file.
const ROOM: usize = 4096;

/// What the one side says to the other.
#[derive(Debug)]
pub(super) enum Message {
    /// There is no token file.
    Absent,
    /// There is a file of the person's own that is no token; why.
    Replaceable(String),
    /// Nothing can be kept there; why.
    Unfit(String),
    /// The token that lies there, or that is to be kept.
    Token(Token),
    /// Make room for a token; or, that there is.
    Reserve,
    /// The token was kept.
    Written,
}

impl Message {
    /// None for anything else.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        Some(match word {
            "absent" => Self::Absent,
            "replaceable" => Self::Replaceable(rest.to_owned()),
            "unfit" => Self::Unfit(rest.to_owned()),
            "token" => Self::Token(parse_token(rest.as_bytes())?),
            "prepare" => Self::Reserve,
            "kept" => Self::Written,
            _ => return None,
        })
    }

    /// Says it to whoever reads `to`.
    pub(super) fn say(&self, mut to: impl Write) -> io::Result<()> {
        let told = |why: &String| sanitize_line(why);
        match self {
            Self::Absent => writeln!(to, "absent"),
            Self::Replaceable(why) => writeln!(to, "replaceable {}", told(why)),
            Self::Unfit(why) => writeln!(to, "unfit {}", told(why)),
            Self::Token(token) => return say_token(token, to),
            Self::Reserve => writeln!(to, "prepare"),
            Self::Written => writeln!(to, "kept"),
        }?;
        to.flush()
    }
}

/// Says a token.
pub(super) fn say_token(token: &Token, mut to: impl Write) -> io::Result<()> {
    // In one write: a line that is torn is none.
    let line = Zeroizing::new(format!("token {}\n", token.expose()));
    to.write_all(line.as_bytes())?;
    to.flush()
}

/// Serves root, as USER.
pub(crate) fn run(user: &str) -> ExitCode {
    match serve(user) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(Message::Unfit(format!("{error:#}")).say(io::stdout()));
            ExitCode::FAILURE
        }
    }
}

fn serve(user: &str) -> Result<()> {
    ensure!(Uid::effective().is_root(), "`cas-sync provision` runs this; it is for nobody else");
    let account = Account::from_name(user)?;
    become_user(&account)?;
    let paths = Paths::new(&account.home, |_| None);
    look(&account, &paths).say(io::stdout())?;
    for line in io::stdin().lock().lines() {
        let answer = match Message::parse(&line.context("reading what to do")?) {
            Some(Message::Reserve) => make_room(&account, &paths).map(|()| Message::Reserve),
            Some(Message::Token(token)) => keep(&account, &paths, &token).map(|()| Message::Written),
            _ => bail!("this is nothing to do"),
        };
        answer.unwrap_or_else(|error| Message::Unfit(format!("{error:#}"))).say(io::stdout())?;
    }
    Ok(())
}

fn look(account: &Account, paths: &Paths) -> Message {
    if account.is_home_unavailable(paths) {
        let home = account.home.display();
        return Message::Unfit(format!(
            "the home {home} is not there, or may not be mounted: log in once as them, and run this again"
        ));
    }
    match read_token(&paths.vault_token_file, account.uid) {
        Ok(token) => Message::Token(token),
        Err(error) if error.is_missing() => Message::Absent,
        Err(error) if error.is_replaceable() => Message::Replaceable(error.to_string()),
        Err(error) => Message::Unfit(error.to_string()),
    }
}

/// Finds out whether a token can be kept, before there is one: the directory, and as much room as a token may take.
fn make_room(account: &Account, paths: &Paths) -> Result<()> {
    let file = &paths.vault_token_file;
    let directory = file.parent().context("a file lies in a directory")?;
    theirs(account, directory)?;
    atomic_file::create_private_directory(directory)?;
    theirs(account, directory)?;
    if fs::metadata(directory)?.mode() & 0o7777 != 0o700 {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("{} cannot be made private", directory.display()))?;
    }
    let probe = atomic_file::stage(file, &[b'\n'; ROOM])?;
    drop(probe);
    Ok(())
}

/// Whoever owns a directory decides what lies in it, and a link may have led to somebody else's.
fn theirs(account: &Account, directory: &Path) -> Result<()> {
    let between = directory.ancestors().take_while(|path| path.starts_with(&account.home));
    for existing in between {
        let Ok(found) = fs::metadata(existing) else { continue };
        let path = existing.display();
        ensure!(found.is_dir(), "{path} is no directory: move it out of the way");
        ensure!(
            found.uid() == account.uid.as_raw(),
            "{path} belongs to user id {}: give it to {}, or remove the link",
            found.uid(),
            account.name
        );
    }
    Ok(())
}

fn keep(account: &Account, paths: &Paths, token: &Token) -> Result<()> {
    make_room(account, paths)?;
    let line = Zeroizing::new(format!("{}\n", token.expose()));
    atomic_file::write_atomic(&paths.vault_token_file, line.as_bytes())?;
    let kept = read_token(&paths.vault_token_file, account.uid)?;
    ensure!(kept == *token, "another token lies there already");
    Ok(())
}

impl fmt::Display for Message {
    /// For an error: without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => formatter.write_str("there is no token"),
            Self::Replaceable(why) | Self::Unfit(why) => formatter.write_str(why),
            Self::Token(_) => formatter.write_str("there is a token"),
            Self::Reserve => formatter.write_str("there is room"),
            Self::Written => formatter.write_str("it was kept"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_said() {
        for line in ["absent", "replaceable it is odd", "unfit no room", "token hvs.abc", "prepare", "kept"] {
            let mut said = Vec::new();
            Message::parse(line).unwrap_or_else(|| panic!("{line}")).say(&mut said).expect("said");
            assert_eq!(said, format!("{line}\n").into_bytes());
        }
        for line in ["", "token", "token a b", "token a\u{7}", "nonsense", "Token hvs.abc"] {
            assert!(Message::parse(line).is_none(), "{line:?}");
        }
        let mut said = Vec::new();
        Message::Unfit("a\nkept".into()).say(&mut said).expect("said");
        assert_eq!(said, b"unfit a?kept\n");
    }
}
