//! `cas-sync login`: somebody signs in, and the new login takes the place of theirs once it has been shown to work. Until
//! then nothing of theirs is touched; what was obtained and is not wanted is signed out again.

mod email_prompt;
mod identity;
mod install;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use cas_core::claude_files::credentials_file::CredentialsFile;
use cas_core::claude_files::state_file::ClaudeState;
use cas_core::credential::login::OauthLogin;
use cas_core::credential::login_file::LocalLogin;
use cas_core::credential::verification::Verdict;
use cas_core::outcome::Status;
use cas_core::state::env_file::{Content, EnvFile};
use cas_protocol::deadline::Deadline;
use cas_protocol::secret::{Secret, Zeroizing};

use crate::claude::{GivenUp, NotSignedIn, SignIn};
use crate::cli::Login;
use crate::commands::acceptance::{admit, shown};
use crate::os::deferred_signals::{DeferredSignals, held_back};
use crate::os::environment::now;
use crate::term::secret_input::{self, Extent, NotRead};
use crate::term::stderr::{complain, say_aside};
use crate::term::wrap::fitted;
use crate::user::context::{Asked, Person};
use crate::user::error::Failed;

/// How long somebody has to sign in and come back with the code.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

const PROMPT: &str = "Code (it is not shown): ";

const UNCHANGED: &str = "your login is as it was";

/// Signs the caller in. Signals that ask to end wait until nothing is half done, and then end it.
pub(crate) fn run(request: &Login) -> ExitCode {
    let signals = match held_back() {
        Ok(signals) => signals,
        Err(failed) => return failed.tell(),
    };
    sign_in(request, &signals).map_or_else(|failed| failed.tell(), |()| ExitCode::SUCCESS)
}

fn sign_in(request: &Login, signals: &DeferredSignals) -> Result<(), Failed> {
    let given = request.email.as_deref().map(email_prompt::parse).transpose()?;
    let person = Person::myself()?;
    let claude = person.claude();
    let own_state = claude.own_state().map_err(not_signed_in)?;
    let owner = person.account.uid.as_raw();
    let state = ClaudeState::new(own_state, owner);
    let file = CredentialsFile::new(person.paths.credentials_file.clone(), owner);
    // Before anybody goes to a browser for nothing.
    if let LocalLogin::Unreadable(why) = file.read(person.now).login {
        return Err(Failed::new(1, why));
    }
    person.state.ledger()?;
    let _locked = person.lock()?;
    let address = email_prompt::known_or_asked(given, &state, signals)?;

    let mut sign_in = claude.sign_in(address.as_deref()).map_err(not_signed_in)?;
    let taken = obtain(&mut sign_in, address.as_deref(), signals)
        .and_then(|()| take(request, &person, &file, &sign_in, signals));
    let (login, verdict) = taken.map_err(|failed| give_up(&mut sign_in, failed))?;
    let noted = sign_in.state(owner);
    if let Some(account) = noted.account() {
        let deadline = Deadline::after(install::LOCK_TIME);
        if let Err(not) = state.note_account(&account, &deadline, now()) {
            let what = "you are signed in, but Claude Code's own file does not name the account yet";
            complain(&anyhow::anyhow!("{what}: {not}"));
        }
    }
    tell(&person, &login, email_prompt::of_last_sign_in(&noted).as_deref(), verdict);
    Ok(())
}

/// The dialogue with the person, and the client's with its server.
fn obtain(sign_in: &mut SignIn, address: Option<&str>, signals: &DeferredSignals) -> Result<(), Failed> {
    let is_given_up = || signals.is_asked();
    let place = sign_in.address(&is_given_up).map_err(not_signed_in)?;
    let whom = address.map(|address| format!(" as {address}")).unwrap_or_default();
    let ask = format!("In a browser on any device, sign in{whom} at this address:");
    eprintln!("{}\n", fitted(&io::stderr(), &ask));
    // The one thing that a program may want to pass on.
    drop(writeln!(io::stdout(), "{place}"));
    eprintln!("\nIt is one line. Then paste the code that the browser shows.");
    let deadline = Deadline::after(PATIENCE);
    let pasted = secret_input::ask(PROMPT, Extent::Line, Some(&deadline), signals).map_err(no_code)?;
    sign_in.redeem(&code(&pasted)?, &is_given_up).map_err(not_signed_in)
}

/// A code as it is pasted: a narrow terminal may have broken it into lines.
fn code(pasted: &Secret<String>) -> Result<Secret<String>, Failed> {
    let mut code = Zeroizing::new(String::with_capacity(pasted.expose().len()));
    pasted.expose().lines().for_each(|line| code.push_str(line.trim()));
    if code.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(Failed::new(1, format!("this is no code: there is white space in it; {UNCHANGED}")));
    }
    Ok(Secret::new(std::mem::take(&mut *code)))
}

/// Puts the new login in its place, once it may be there.
fn take(
    request: &Login,
    person: &Person,
    file: &CredentialsFile,
    sign_in: &SignIn,
    signals: &DeferredSignals,
) -> Result<(OauthLogin, Verdict), Failed> {
    let login = sign_in.login(person.account.uid.as_raw(), now());
    let login = login.ok_or_else(|| Failed::new(1, format!("claude left no complete login; {UNCHANGED}")))?;
    let verdict = judge(request, person, file, &login, signals)?;
    install::replace_login(&person.state, file, &login)?;
    Ok((login, verdict))
}

/// Whether the new login may take the place of the one before: whose it is, and whether it works.
fn judge(
    request: &Login,
    person: &Person,
    file: &CredentialsFile,
    login: &OauthLogin,
    signals: &DeferredSignals,
) -> Result<Verdict, Failed> {
    let ledger = person.state.ledger()?;
    let before = file.read(person.now).login.summary();
    let expected = person.config.expected_organization.as_deref();
    identity::check(&login.summary, before.login(), &ledger, expected, request.switch_account)?;
    let token = login.access_token().ok_or_else(|| Failed::new(1, "the new login has no access token"))?;
    let verdict = person.claude().probe_unless(&|| signals.is_asked(), &token);
    if signals.is_asked() {
        return Err(Failed::new(1, format!("interrupted; {UNCHANGED}")));
    }
    admit("the new login", &verdict, request.unverified, "sign in again")
        .map_err(|failed| failed.and(UNCHANGED))?;
    Ok(verdict)
}

/// What was obtained is of no use to anybody.
fn give_up(sign_in: &mut SignIn, failed: Failed) -> Failed {
    match sign_in.give_up() {
        GivenUp::Nothing => failed,
        GivenUp::SignedOut => failed.and("what was obtained is signed out again"),
        GivenUp::Deleted => {
            failed.and("what was obtained is deleted here, and could not be signed out at the server")
        }
    }
}

/// Lets a sync tell of it, which backs it up, and says what there is to be said.
fn tell(person: &Person, login: &OauthLogin, address: Option<&str>, verdict: Verdict) {
    let whom = address.map(|address| format!(" as {address}")).unwrap_or_default();
    let out = io::stdout();
    let say = |text: &str| drop(writeln!(out.lock(), "{}", fitted(&out, text)));
    say(&format!("Signed in{whom}: the login is in place, {}.", shown(&verdict)));
    let token = login.access_token();
    let token = token.as_ref().map(|token| token.expose().as_str()).unwrap_or_default();
    let outcome = person.sync(Some(Asked::boxed(person.claude(), token, verdict)));
    let env_file = EnvFile::new(person.paths.env_file.clone(), person.account.uid.as_raw());
    if matches!(env_file.read(), Content::Token(_)) {
        let note = "A setup-token is in force: Claude Code uses that, and neither uses this login nor is it backed up until \
                    `cas-sync token clear` takes the token out of force.";
        say(note);
    }
    match outcome.status {
        Status::Ok => say(&format!("{} {outcome}", outcome.status)),
        _ => say_aside(&format!("{} {outcome}", outcome.status)),
    }
}

fn not_signed_in(not: NotSignedIn) -> Failed {
    match not {
        NotSignedIn::Interrupted => Failed::new(1, format!("interrupted; {UNCHANGED}")),
        NotSignedIn::Refused(words) => Failed::new(
            1,
            format!("claude did not sign in: {words}; {UNCHANGED}; `cas-sync login` tries again"),
        ),
        NotSignedIn::Late(why) => Failed::new(75, format!("{why}; {UNCHANGED}: try again")),
        NotSignedIn::Unusable(why) => Failed::new(69, format!("{why}; {UNCHANGED}")),
    }
}

fn no_code(not: NotRead) -> Failed {
    let code = if matches!(not, NotRead::Late) { 75 } else { 1 };
    Failed::new(code, format!("no code: {not}; {UNCHANGED}"))
}
