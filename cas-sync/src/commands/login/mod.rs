//! `cas-sync login`: somebody signs in, and the new login takes the place of theirs once it has been shown to work. Until
//! then nothing of theirs is touched; what was obtained and is not wanted is signed out again.

mod email_prompt;
mod identity;
mod install;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use cas_core::claude_files::credentials_file::CredentialsFile;
use cas_core::claude_files::state_file::ClaudeStateFile;
use cas_core::credential::login::Login;
use cas_core::credential::login_file::LoginFileState;
use cas_core::credential::verification::Verification;
use cas_core::outcome::Status;
use cas_core::state::env_file::{EnvFile, EnvFileContent};
use cas_protocol::deadline::Deadline;
use cas_protocol::secret::{Secret, Zeroizing};

use crate::claude::{AbortResult, SignIn, SignInError};
use crate::cli::LoginArgs;
use crate::os::deferred_signals::SignalBlock;
use crate::os::environment::now;
use crate::term::secret_input::{self, PromptError, ReadUntil};
use crate::term::stderr::{print_error, print_stderr};
use crate::term::wrap::wrap_for;
use crate::user::acceptance::{check_accepted, describe_verification};
use crate::user::context::{CachedVerifier, UserContext};
use crate::user::error::CommandError;
use crate::user::error::block_termination;

/// How long somebody has to sign in and come back with the code.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

const PROMPT: &str = "Code (it is not shown): ";

const UNCHANGED: &str = "your login is as it was";

/// Signs the caller in. Signals that ask to end wait until nothing is half done, and then end it.
pub(crate) fn run(request: &LoginArgs) -> ExitCode {
    let signals = match block_termination() {
        Ok(signals) => signals,
        Err(failed) => return failed.report(),
    };
    sign_in(request, &signals).map_or_else(|failed| failed.report(), |()| ExitCode::SUCCESS)
}

fn sign_in(request: &LoginArgs, signals: &SignalBlock) -> Result<(), CommandError> {
    let given = request.email.as_deref().map(email_prompt::parse).transpose()?;
    let person = UserContext::for_current_user()?;
    let claude = person.claude();
    let own_state = claude.state_file().map_err(not_signed_in)?;
    let owner = person.account.uid.as_raw();
    let state = ClaudeStateFile::new(own_state, owner);
    let file = CredentialsFile::new(person.paths.credentials_file.clone(), owner);
    // Before anybody goes to a browser for nothing.
    if let LoginFileState::Unreadable(why) = file.read(person.now).login {
        return Err(CommandError::new(1, why));
    }
    person.state.ledger()?;
    let _locked = person.lock()?;
    let address = email_prompt::known_or_prompt(given, &state, signals)?;

    let mut sign_in = claude.sign_in(address.as_deref()).map_err(not_signed_in)?;
    let taken = run_sign_in(&mut sign_in, address.as_deref(), signals)
        .and_then(|()| install(request, &person, &file, &sign_in, signals));
    let (login, verdict) = taken.map_err(|failed| give_up(&mut sign_in, failed))?;
    let noted = sign_in.state(owner);
    if let Some(account) = noted.account() {
        let deadline = Deadline::after(install::LOCK_TIME);
        if let Err(not) = state.set_account(&account, &deadline, now()) {
            let what = "you are signed in, but Claude Code's own file does not name the account yet";
            print_error(&anyhow::anyhow!("{what}: {not}"));
        }
    }
    tell(&person, &login, email_prompt::last_sign_in_email(&noted).as_deref(), verdict);
    Ok(())
}

/// The dialogue with the person, and the client's with its server.
fn run_sign_in(
    sign_in: &mut SignIn,
    address: Option<&str>,
    signals: &SignalBlock,
) -> Result<(), CommandError> {
    let is_given_up = || signals.is_pending();
    let place = sign_in.address(&is_given_up).map_err(not_signed_in)?;
    let whom = address.map(|address| format!(" as {address}")).unwrap_or_default();
    let ask = format!("In a browser on any device, sign in{whom} at this address:");
    eprintln!("{}\n", wrap_for(&io::stderr(), &ask));
    // The one thing that a program may want to pass on.
    drop(writeln!(io::stdout(), "{place}"));
    eprintln!("\nIt is one line. Then paste the code that the browser shows.");
    let deadline = Deadline::after(PATIENCE);
    let pasted = secret_input::ask(PROMPT, ReadUntil::Line, Some(&deadline), signals).map_err(no_code)?;
    sign_in.submit_code(&code(&pasted)?, &is_given_up).map_err(not_signed_in)
}

/// A code as it is pasted: a narrow terminal may have broken it into lines.
fn code(pasted: &Secret<String>) -> Result<Secret<String>, CommandError> {
    let mut code = Zeroizing::new(String::with_capacity(pasted.expose().len()));
    pasted.expose().lines().for_each(|line| code.push_str(line.trim()));
    if code.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(CommandError::new(
            1,
            format!("this is no code: there is white space in it; {UNCHANGED}"),
        ));
    }
    Ok(Secret::new(std::mem::take(&mut *code)))
}

/// Puts the new login in its place, once it may be there.
fn install(
    request: &LoginArgs,
    person: &UserContext,
    file: &CredentialsFile,
    sign_in: &SignIn,
    signals: &SignalBlock,
) -> Result<(Login, Verification), CommandError> {
    let login = sign_in.login(person.account.uid.as_raw(), now());
    let login =
        login.ok_or_else(|| CommandError::new(1, format!("claude left no complete login; {UNCHANGED}")))?;
    let verdict = judge(request, person, file, &login, signals)?;
    install::replace_login(&person.state, file, &login)?;
    Ok((login, verdict))
}

/// Whether the new login may take the place of the one before: whose it is, and whether it works.
fn judge(
    request: &LoginArgs,
    person: &UserContext,
    file: &CredentialsFile,
    login: &Login,
    signals: &SignalBlock,
) -> Result<Verification, CommandError> {
    let ledger = person.state.ledger()?;
    let before = file.read(person.now).login.summary();
    let expected = person.config.expected_organization.as_deref();
    identity::check(&login.summary, before.login(), &ledger, expected, request.switch_account)?;
    let token =
        login.access_token().ok_or_else(|| CommandError::new(1, "the new login has no access token"))?;
    let verdict = person.claude().probe_cancellable(&|| signals.is_pending(), &token);
    if signals.is_pending() {
        return Err(CommandError::new(1, format!("interrupted; {UNCHANGED}")));
    }
    check_accepted("the new login", &verdict, request.unverified, "sign in again")
        .map_err(|failed| failed.with_note(UNCHANGED))?;
    Ok(verdict)
}

/// What was obtained is of no use to anybody.
fn give_up(sign_in: &mut SignIn, failed: CommandError) -> CommandError {
    match sign_in.abort() {
        AbortResult::Nothing => failed,
        AbortResult::SignedOut => failed.with_note("what was obtained is signed out again"),
        AbortResult::Deleted => {
            failed.with_note("what was obtained is deleted here, and could not be signed out at the server")
        }
    }
}

/// Lets a sync tell of it, which backs it up, and says what there is to be said.
fn tell(person: &UserContext, login: &Login, address: Option<&str>, verdict: Verification) {
    let whom = address.map(|address| format!(" as {address}")).unwrap_or_default();
    let out = io::stdout();
    let say = |text: &str| drop(writeln!(out.lock(), "{}", wrap_for(&out, text)));
    say(&format!("Signed in{whom}: the login is in place, {}.", describe_verification(&verdict)));
    let token = login.access_token();
    let token = token.as_ref().map(|token| token.expose().as_str()).unwrap_or_default();
    let outcome = person.sync(Some(CachedVerifier::boxed(person.claude(), token, verdict)));
    let env_file = EnvFile::new(person.paths.env_file.clone(), person.account.uid.as_raw());
    if matches!(env_file.read(), EnvFileContent::Token(_)) {
        let note = "A setup-token is in force: Claude Code uses that, and neither uses this login nor is it backed up until \
                    `cas-sync token clear` takes the token out of force.";
        say(note);
    }
    match outcome.status {
        Status::Ok => say(&format!("{} {outcome}", outcome.status)),
        _ => print_stderr(&format!("{} {outcome}", outcome.status)),
    }
}

fn not_signed_in(not: SignInError) -> CommandError {
    match not {
        SignInError::Interrupted => CommandError::new(1, format!("interrupted; {UNCHANGED}")),
        SignInError::Refused(words) => CommandError::new(
            1,
            format!("claude did not sign in: {words}; {UNCHANGED}; `cas-sync login` tries again"),
        ),
        SignInError::Late(why) => CommandError::new(75, format!("{why}; {UNCHANGED}: try again")),
        SignInError::Unusable(why) => CommandError::new(69, format!("{why}; {UNCHANGED}")),
    }
}

fn no_code(not: PromptError) -> CommandError {
    let code = if matches!(not, PromptError::Late) { 75 } else { 1 };
    CommandError::new(code, format!("no code: {not}; {UNCHANGED}"))
}
