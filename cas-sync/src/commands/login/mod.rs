//! `cas-sync login`: the user signs in, and the new login replaces the current one after it was
//! verified. Until then the current login is not changed. A new login that is not installed is
//! signed out.

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
use cas_core::outcome::{ExitStatus, Status};
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

/// Time to sign in in the browser and to enter the code.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(15 * 60);

const PROMPT: &str = "Code (input is hidden): ";

const UNCHANGED: &str = "your login was not changed";

/// Signs the caller in. Termination signals are delayed until no change is incomplete.
pub(crate) fn run(request: &LoginArgs) -> ExitCode {
    let signals = match block_termination() {
        Ok(signals) => signals,
        Err(failed) => return failed.report(),
    };
    sign_in(request, &signals).map_or_else(|failed| failed.report(), |()| ExitCode::SUCCESS)
}

fn sign_in(request: &LoginArgs, signals: &SignalBlock) -> Result<(), CommandError> {
    let given = request.email.as_deref().map(email_prompt::parse).transpose()?;
    let user = UserContext::for_current_user()?;
    let claude = user.claude();
    let state_path = claude.state_file().map_err(not_signed_in)?;
    let owner = user.account.uid.as_raw();
    let state = ClaudeStateFile::new(state_path, owner);
    let file = CredentialsFile::new(user.paths.credentials_file.clone(), owner);
    // Checked before the user opens a browser.
    if let LoginFileState::Unreadable(why) = file.read(user.now).login {
        return Err(CommandError::new(ExitStatus::Failure, why));
    }
    user.state.ledger()?;
    let _locked = user.lock()?;
    let email = email_prompt::known_or_prompt(given, &state, signals)?;

    let mut sign_in = claude.sign_in(email.as_deref()).map_err(not_signed_in)?;
    let installed = run_sign_in(&mut sign_in, email.as_deref(), signals)
        .and_then(|()| install(request, &user, &file, &sign_in, signals));
    let (login, verdict) = installed.map_err(|failed| abort(&mut sign_in, failed))?;
    let new_state = sign_in.state(owner);
    if let Some(account) = new_state.account() {
        let deadline = Deadline::after(install::LOCK_TIMEOUT);
        if let Err(error) = state.set_account(&account, &deadline, now()) {
            let what = "you are signed in, but ~/.claude.json does not name the account yet";
            print_error(&anyhow::anyhow!("{what}: {error}"));
        }
    }
    finish(&user, &login, email_prompt::last_sign_in_email(&new_state).as_deref(), verdict);
    Ok(())
}

/// Runs the dialog with the user and the client's sign-in.
fn run_sign_in(sign_in: &mut SignIn, email: Option<&str>, signals: &SignalBlock) -> Result<(), CommandError> {
    let is_aborted = || signals.is_pending();
    let url = sign_in.address(&is_aborted).map_err(not_signed_in)?;
    let as_email = email.map(|email| format!(" as {email}")).unwrap_or_default();
    let request = format!("In a browser on any device, open this URL and sign in{as_email}:");
    eprintln!("{}\n", wrap_for(&io::stderr(), &request));
    // The only output that a program may read.
    drop(writeln!(io::stdout(), "{url}"));
    eprintln!("\nThe URL is one line. Then paste the code that the browser shows.");
    let deadline = Deadline::after(SIGN_IN_TIMEOUT);
    let pasted = secret_input::ask(PROMPT, ReadUntil::Line, Some(&deadline), signals).map_err(no_code)?;
    sign_in.submit_code(&code(&pasted)?, &is_aborted).map_err(not_signed_in)
}

/// Returns the pasted code. A narrow terminal may have split it into lines.
fn code(pasted: &Secret<String>) -> Result<Secret<String>, CommandError> {
    let mut code = Zeroizing::new(String::with_capacity(pasted.expose().len()));
    pasted.expose().lines().for_each(|line| code.push_str(line.trim()));
    if code.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(CommandError::new(
            ExitStatus::Failure,
            format!("the code contains white space; {UNCHANGED}"),
        ));
    }
    Ok(Secret::new(std::mem::take(&mut *code)))
}

/// Verifies and installs the new login.
fn install(
    request: &LoginArgs,
    user: &UserContext,
    file: &CredentialsFile,
    sign_in: &SignIn,
    signals: &SignalBlock,
) -> Result<(Login, Verification), CommandError> {
    let login = sign_in.login(user.account.uid.as_raw(), now());
    let login = login.ok_or_else(|| {
        CommandError::new(ExitStatus::Failure, format!("Claude Code wrote no complete login; {UNCHANGED}"))
    })?;
    let verdict = verify(request, user, file, &login, signals)?;
    install::replace_login(&user.state, file, &login)?;
    Ok((login, verdict))
}

/// Checks the owner of the new login and verifies it.
fn verify(
    request: &LoginArgs,
    user: &UserContext,
    file: &CredentialsFile,
    login: &Login,
    signals: &SignalBlock,
) -> Result<Verification, CommandError> {
    let ledger = user.state.ledger()?;
    let before = file.read(user.now).login.summary();
    let expected = user.config.expected_organization.as_deref();
    identity::check(&login.summary, before.login(), &ledger, expected, request.switch_account)?;
    let token = login
        .access_token()
        .ok_or_else(|| CommandError::new(ExitStatus::Failure, "the new login has no access token"))?;
    let verdict = user.claude().probe_cancellable(&|| signals.is_pending(), &token);
    if signals.is_pending() {
        return Err(CommandError::new(ExitStatus::Failure, format!("interrupted; {UNCHANGED}")));
    }
    check_accepted("the new login", &verdict, request.unverified, "sign in again")
        .map_err(|failed| failed.with_note(UNCHANGED))?;
    Ok(verdict)
}

/// Signs out or deletes the new login, which is not installed.
fn abort(sign_in: &mut SignIn, failed: CommandError) -> CommandError {
    match sign_in.abort() {
        AbortResult::Nothing => failed,
        AbortResult::SignedOut => failed.with_note("the new login was signed out"),
        AbortResult::Deleted => failed
            .with_note("the new login was deleted here, but could not be signed out at the Anthropic API"),
    }
}

/// Runs a sync, which backs up the login, and prints the result.
fn finish(user: &UserContext, login: &Login, email: Option<&str>, verdict: Verification) {
    let as_email = email.map(|email| format!(" as {email}")).unwrap_or_default();
    let out = io::stdout();
    let print = |text: &str| drop(writeln!(out.lock(), "{}", wrap_for(&out, text)));
    print(&format!("Signed in{as_email}: the login is installed, {}.", describe_verification(&verdict)));
    let token = login.access_token();
    let token = token.as_ref().map(|token| token.expose().as_str()).unwrap_or_default();
    let outcome = user.sync(Some(CachedVerifier::boxed(user.claude(), token, verdict)));
    let env_file = EnvFile::new(user.paths.env_file.clone(), user.account.uid.as_raw());
    if matches!(env_file.read(), EnvFileContent::Token(_)) {
        let note = "A setup token is active: Claude Code uses it instead of this login, and the login is not backed up until \
                    `cas-sync token clear` removes the token.";
        print(note);
    }
    match outcome.status {
        Status::Ok => print(&format!("{} {outcome}", outcome.status)),
        _ => print_stderr(&format!("{} {outcome}", outcome.status)),
    }
}

fn not_signed_in(error: SignInError) -> CommandError {
    match error {
        SignInError::Interrupted => {
            CommandError::new(ExitStatus::Failure, format!("interrupted; {UNCHANGED}"))
        }
        SignInError::Refused(reason) => CommandError::new(
            ExitStatus::Failure,
            format!("cannot sign in: {reason}; {UNCHANGED}; run `cas-sync login` to try again"),
        ),
        SignInError::Late(why) => {
            CommandError::new(ExitStatus::TryLater, format!("{why}; {UNCHANGED}: try again"))
        }
        SignInError::Unusable(why) => {
            CommandError::new(ExitStatus::ClientUnusable, format!("{why}; {UNCHANGED}"))
        }
    }
}

fn no_code(error: PromptError) -> CommandError {
    let is_late = matches!(error, PromptError::Late);
    let status = if is_late { ExitStatus::TryLater } else { ExitStatus::Failure };
    CommandError::new(status, format!("cannot read the code: {error}; {UNCHANGED}"))
}
