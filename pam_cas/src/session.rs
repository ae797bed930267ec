//! What happens when a session opens. The policy is here, in reading order; everything it needs is a parameter or asked
//! of another module of this crate.

use std::ffi::CStr;
use std::fmt;
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_protocol::setup_token::SetupToken;
use pam::items::{Service, User};
use pam::module::PamHandle;

use crate::enrolled::{self, MarkerError};
use crate::helper::{self, HelperRequest};
use crate::line::LogLine;
use crate::options::Options;
use crate::pam_ext::{self, Level};
use crate::quiet::{self, CaughtPanic};
use crate::system::CancellationOff;
use crate::user_name::UserName;

/// Services that hand the caller's environment on to the target user. There the variable is set empty when the target
/// has no token, or the caller's own would follow into somebody else's shell (Claude Code takes empty for unset).
/// `su-l` clears the environment itself, unless it is told to keep it (`su -w`).
const ENV_PRESERVING_SERVICES: &[&str] = &["su", "su-l"];

/// Opens a session: sets the variable or leaves it, logs at most one line unless `debug` is on, and always returns.
pub(crate) fn open(pamh: &mut PamHandle, arguments: &[&CStr]) {
    let _uncancelled = CancellationOff::begin();
    if let Err(panicked) = quiet::catch_panic(|| open_listed(pamh, arguments)) {
        // Reached only when reading the arguments or writing the log failed; a failure of the login proper is caught
        // closer to where it happens, so that the variable can still be emptied.
        let _ = quiet::catch_panic(|| pam_ext::log(pamh, Level::Warning, &LogLine::of(panicked).render()));
    }
}

fn open_listed(pamh: &mut PamHandle, arguments: &[&CStr]) {
    let (options, complaints) = Options::parse(arguments);
    let Some(carries_environment) = match_service(pamh, &options) else { return };
    let mut line = LogLine::default();
    complaints.iter().for_each(|complaint| line.add(complaint));

    let user = pamh.get_item::<User>().ok().flatten().map(|user| user.0.to_owned());
    let about = |what: &dyn fmt::Display| {
        format!("user={} {what}", user.as_deref().unwrap_or_default().to_string_lossy())
    };
    let (token, took) = quiet::catch_panic(|| timed_lookup(user.as_deref(), &options))
        .unwrap_or_else(|panicked| (Err(NoTokenReason::Panicked(panicked)), None));
    if let Some(fault) = token.as_ref().err().filter(|reason| reason.is_error()) {
        line.add(&about(fault));
    }

    if (token.is_ok() || carries_environment)
        && let Err(refused) = pam_ext::put_env(pamh, token.as_ref().ok())
    {
        line.add(&about(&refused));
    }

    if !line.is_empty() {
        pam_ext::log(pamh, Level::Warning, &line.render());
    }
    if options.debug {
        let outcome = Outcome { token: &token, emptied: token.is_err() && carries_environment, took };
        pam_ext::log(pamh, Level::Debug, &LogLine::of(about(&outcome)).render());
    }
}

/// Whether the service is one of ours (else `None`), and then whether it carries the caller's environment over.
fn match_service(pamh: &PamHandle, options: &Options<'_>) -> Option<bool> {
    let service = pamh.get_item::<Service>().ok().flatten()?;
    let service = service.0.to_str().ok()?;
    options.services.contain(service).then(|| ENV_PRESERVING_SERVICES.contains(&service))
}

/// The answer, and how long it took. The clock starts here.
fn timed_lookup(
    user: Option<&CStr>,
    options: &Options<'_>,
) -> (Result<SetupToken, NoTokenReason>, Option<Duration>) {
    let deadline = Deadline::after(options.deadline);
    let token = look_up_token(user, options, deadline);
    (token, options.deadline.checked_sub(deadline.remaining()))
}

/// From the cheapest question to the dearest: a look at the name, one `lstat`, one process.
fn look_up_token(
    user: Option<&CStr>,
    options: &Options<'_>,
    deadline: Deadline,
) -> Result<SetupToken, NoTokenReason> {
    let user = UserName::parse(user.ok_or(NoTokenReason::NoUser)?).ok_or(NoTokenReason::RefusedName)?;
    if !enrolled::is_enrolled(&user)? {
        return Err(NoTokenReason::NotEnrolled);
    }
    let question = HelperRequest {
        program: &options.helper,
        user: &user,
        minimum_uid: options.minimum_uid,
        debug: options.debug,
    };
    helper::request_token(&question, deadline)?.ok_or(NoTokenReason::NoneKept)
}

/// Why a session goes without a token. Only the faults are worth an admin's time.
enum NoTokenReason {
    NoUser,
    RefusedName,
    NotEnrolled,
    NoneKept,
    Marker(MarkerError),
    Helper(helper::HelperError),
    Panicked(CaughtPanic),
}

impl NoTokenReason {
    fn is_error(&self) -> bool {
        match self {
            Self::NoUser | Self::RefusedName | Self::NotEnrolled | Self::NoneKept => false,
            Self::Marker(_) | Self::Helper(_) | Self::Panicked(_) => true,
        }
    }
}

impl From<MarkerError> for NoTokenReason {
    fn from(untrusted: MarkerError) -> Self {
        Self::Marker(untrusted)
    }
}

impl From<helper::HelperError> for NoTokenReason {
    fn from(failure: helper::HelperError) -> Self {
        Self::Helper(failure)
    }
}

impl fmt::Display for NoTokenReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUser => formatter.write_str("no user is set"),
            Self::RefusedName => formatter.write_str("not a name this module acts on"),
            Self::NotEnrolled => formatter.write_str("not enrolled"),
            Self::NoneKept => formatter.write_str("has no setup-token"),
            Self::Marker(untrusted) => untrusted.fmt(formatter),
            Self::Helper(failure) => failure.fmt(formatter),
            Self::Panicked(panicked) => panicked.fmt(formatter),
        }
    }
}

struct Outcome<'a> {
    token: &'a Result<SetupToken, NoTokenReason>,
    emptied: bool,
    took: Option<Duration>,
}

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.token {
            Ok(_) => formatter.write_str("token set")?,
            Err(reason) if self.emptied => write!(formatter, "{reason}; variable emptied")?,
            Err(reason) => write!(formatter, "{reason}; nothing set")?,
        }
        write!(formatter, " (took {} ms)", self.took.unwrap_or_default().as_millis())
    }
}
