//! `cas-sync internal token-agent`: accesses a user's token file with the privileges of that user,
//! so that a symlink in the home gives no access beyond the user's own. Root starts the process,
//! which drops its privileges before it opens a file. Both sides exchange lines: the process
//! reports the token file, then reserves space on `prepare` and writes on `token TOKEN`.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use cas_core::fs::atomic_file;
use cas_core::fs::directories;
use cas_core::system::account::{Account, Paths};
use cas_core::system::privileges::become_user;
use cas_core::text::sanitize_line;
use cas_vault::{Token, parse_token, read_token};
use nix::unistd::Uid;
use zeroize::Zeroizing;

/// The maximum size of a token file.
const MAX_TOKEN_FILE_SIZE: usize = 4096;

/// A line of the protocol between root and the token agent.
#[derive(Debug)]
pub(super) enum AgentMessage {
    /// There is no token file.
    Absent,
    /// The user owns the file, but it does not contain a valid token. Contains the reason.
    Replaceable(String),
    /// A token cannot be written. Contains the reason.
    Unusable(String),
    /// The token in the file, or the token to write.
    Token(Token),
    /// A request to reserve space, or the confirmation.
    Reserve,
    /// The token was written.
    Written,
}

impl AgentMessage {
    /// Returns None if the line is not a valid message.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        Some(match word {
            "absent" => Self::Absent,
            "replaceable" => Self::Replaceable(rest.to_owned()),
            "unusable" => Self::Unusable(rest.to_owned()),
            "token" => Self::Token(parse_token(rest.as_bytes())?),
            "reserve" => Self::Reserve,
            "written" => Self::Written,
            _ => return None,
        })
    }

    /// Writes the message as one line.
    pub(super) fn write_to(&self, mut writer: impl Write) -> io::Result<()> {
        let escape = |why: &String| sanitize_line(why);
        match self {
            Self::Absent => writeln!(writer, "absent"),
            Self::Replaceable(why) => writeln!(writer, "replaceable {}", escape(why)),
            Self::Unusable(why) => writeln!(writer, "unusable {}", escape(why)),
            Self::Token(token) => return write_token(token, writer),
            Self::Reserve => writeln!(writer, "reserve"),
            Self::Written => writeln!(writer, "written"),
        }?;
        writer.flush()
    }
}

/// Writes a token message.
pub(super) fn write_token(token: &Token, mut writer: impl Write) -> io::Result<()> {
    // One write, because an incomplete line is not a valid message.
    let line = Zeroizing::new(format!("token {}\n", token.expose()));
    writer.write_all(line.as_bytes())?;
    writer.flush()
}

/// Runs the token agent for `user`.
pub(crate) fn run(user: &str) -> ExitCode {
    match serve(user) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(AgentMessage::Unusable(format!("{error:#}")).write_to(io::stdout()));
            ExitCode::FAILURE
        }
    }
}

fn serve(user: &str) -> Result<()> {
    ensure!(Uid::effective().is_root(), "only `cas-sync provision` can run this");
    let account = become_user(&Account::from_name(user)?)?;
    let paths = Paths::new(&account.home, |_| None);
    inspect_token_file(&account, &paths).write_to(io::stdout())?;
    for line in io::stdin().lock().lines() {
        let answer = match AgentMessage::parse(&line.context("cannot read a request")?) {
            Some(AgentMessage::Reserve) => reserve_space(&account, &paths).map(|()| AgentMessage::Reserve),
            Some(AgentMessage::Token(token)) => {
                write_token_file(&account, &paths, &token).map(|()| AgentMessage::Written)
            }
            _ => bail!("the request is invalid"),
        };
        answer.unwrap_or_else(|error| AgentMessage::Unusable(format!("{error:#}"))).write_to(io::stdout())?;
    }
    Ok(())
}

fn inspect_token_file(account: &Account, paths: &Paths) -> AgentMessage {
    if let Some(problem) = account.home_problem(paths) {
        return AgentMessage::Unusable(format!("{problem}; run this again after a login of the user"));
    }
    match read_token(&paths.vault_token_file, account.uid) {
        Ok(token) => AgentMessage::Token(token),
        Err(error) if error.is_missing() => AgentMessage::Absent,
        Err(error) if error.is_replaceable() => AgentMessage::Replaceable(error.to_string()),
        Err(error) => AgentMessage::Unusable(error.to_string()),
    }
}

/// Creates the private directory and checks that a token file of the maximum size can be written.
fn reserve_space(account: &Account, paths: &Paths) -> Result<()> {
    let file = &paths.vault_token_file;
    let directory = file.parent().context("a file is in a directory")?;
    check_owner(account, directory)?;
    directories::create_private_directory(directory)?;
    check_owner(account, directory)?;
    if fs::metadata(directory)?.mode() & 0o7777 != 0o700 {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("cannot set mode 0700 on {}", directory.display()))?;
    }
    let probe = atomic_file::stage(file, &[b'\n'; MAX_TOKEN_FILE_SIZE])?;
    drop(probe);
    Ok(())
}

/// Fails if the user does not own the directory, because its owner controls the files in it. A
/// symlink can lead to another user's directory.
fn check_owner(account: &Account, directory: &Path) -> Result<()> {
    let between = directory.ancestors().take_while(|path| path.starts_with(&account.home));
    for existing in between {
        let Ok(found) = fs::metadata(existing) else { continue };
        let path = existing.display();
        ensure!(found.is_dir(), "{path} is not a directory; move it away");
        ensure!(
            found.uid() == account.uid.as_raw(),
            "{path} belongs to user id {}; change its owner to {}, or remove the link",
            found.uid(),
            account.name
        );
    }
    Ok(())
}

fn write_token_file(account: &Account, paths: &Paths, token: &Token) -> Result<()> {
    reserve_space(account, paths)?;
    let line = Zeroizing::new(format!("{}\n", token.expose()));
    atomic_file::write_atomic(&paths.vault_token_file, line.as_bytes())?;
    let stored = read_token(&paths.vault_token_file, account.uid)?;
    ensure!(stored == *token, "the file contains another token");
    Ok(())
}

impl fmt::Display for AgentMessage {
    /// Omits the token, because the text appears in errors.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => formatter.write_str("there is no token"),
            Self::Replaceable(why) | Self::Unusable(why) => formatter.write_str(why),
            Self::Token(_) => formatter.write_str("there is a token"),
            Self::Reserve => formatter.write_str("space is reserved"),
            Self::Written => formatter.write_str("the token was written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_survives_write_and_parse() {
        for line in
            ["absent", "replaceable it is odd", "unusable no room", "token hvs.abc", "reserve", "written"]
        {
            let mut written = Vec::new();
            AgentMessage::parse(line)
                .unwrap_or_else(|| panic!("{line}"))
                .write_to(&mut written)
                .expect("written");
            assert_eq!(written, format!("{line}\n").into_bytes());
        }
        for line in ["", "token", "token a b", "token a\u{7}", "nonsense", "Token hvs.abc"] {
            assert!(AgentMessage::parse(line).is_none(), "{line:?}");
        }
        let mut written = Vec::new();
        AgentMessage::Unusable("a\nwritten".into()).write_to(&mut written).expect("written");
        assert_eq!(written, b"unusable a?written\n");
    }
}
