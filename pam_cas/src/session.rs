//! Handles the opening of a session. This module contains the policy in reading order; other
//! modules of this crate do the work.

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
use crate::panic_guard::{self, CaughtPanic};
use crate::system::CancellationGuard;
use crate::user_name::UserName;

/// Services that pass the caller's environment on to the target user. There the variable is set to
/// an empty value if the target user has no token, because otherwise the caller's token would be
/// used in another user's shell (Claude Code treats empty as unset). `su-l` clears the environment,
/// except for variables that `su -w` keeps.
const ENV_PRESERVING_SERVICES: &[&str] = &["su", "su-l"];

/// Handles the opening of a session: sets the variable if there is a token, logs at most one line
/// without `debug`, and always returns.
pub(crate) fn open(pamh: &mut PamHandle, arguments: &[&CStr]) {
    let _guard = CancellationGuard::new();
    if let Err(panicked) = panic_guard::catch_panic(|| open_listed(pamh, arguments)) {
        // Reached only if parsing the arguments or logging panics. A panic in the lookup is caught
        // in it, so that the variable can still be emptied.
        let _ =
            panic_guard::catch_panic(|| pam_ext::log(pamh, Level::Warning, &LogLine::new(panicked).render()));
    }
}

fn open_listed(pamh: &mut PamHandle, arguments: &[&CStr]) {
    let (options, warnings) = Options::parse(arguments);
    let Some(preserves_environment) = match_service(pamh, &options) else { return };
    let mut line = LogLine::default();
    warnings.iter().for_each(|warning| line.add(warning));

    let user = pamh.get_item::<User>().ok().flatten().map(|user| user.0.to_owned());
    let with_user = |message: &dyn fmt::Display| {
        format!("user={} {message}", user.as_deref().unwrap_or_default().to_string_lossy())
    };
    let (token, elapsed) = panic_guard::catch_panic(|| timed_lookup(user.as_deref(), &options))
        .unwrap_or_else(|panicked| (Err(NoTokenReason::Panicked(panicked)), None));
    if let Some(error) = token.as_ref().err().filter(|reason| reason.is_error()) {
        line.add(&with_user(error));
    }

    if (token.is_ok() || preserves_environment)
        && let Err(error) = pam_ext::put_env(pamh, token.as_ref().ok())
    {
        line.add(&with_user(&error));
    }

    if !line.is_empty() {
        pam_ext::log(pamh, Level::Warning, &line.render());
    }
    if options.debug {
        let outcome = Outcome { token: &token, is_emptied: token.is_err() && preserves_environment, elapsed };
        pam_ext::log(pamh, Level::Debug, &LogLine::new(with_user(&outcome)).render());
    }
}

/// Returns true if the service passes the caller's environment on, and `None` if it is not served.
fn match_service(pamh: &PamHandle, options: &Options<'_>) -> Option<bool> {
    let service = pamh.get_item::<Service>().ok().flatten()?;
    let service = service.0.to_str().ok()?;
    options.services.contain(service).then(|| ENV_PRESERVING_SERVICES.contains(&service))
}

/// Returns the result of the lookup and its duration. The deadline starts here.
fn timed_lookup(
    user: Option<&CStr>,
    options: &Options<'_>,
) -> (Result<SetupToken, NoTokenReason>, Option<Duration>) {
    let deadline = Deadline::after(options.deadline);
    let token = look_up_token(user, options, deadline);
    (token, options.deadline.checked_sub(deadline.remaining()))
}

/// Looks up the token. The cheapest check comes first: the name, then one `lstat`, then one
/// process.
fn look_up_token(
    user: Option<&CStr>,
    options: &Options<'_>,
    deadline: Deadline,
) -> Result<SetupToken, NoTokenReason> {
    let user = UserName::parse(user.ok_or(NoTokenReason::NoUser)?).ok_or(NoTokenReason::RefusedName)?;
    if !enrolled::is_enrolled(&user)? && !user.is_possible_alias() {
        return Err(NoTokenReason::NotEnrolled);
    }
    let request = HelperRequest {
        program: &options.helper,
        user: &user,
        minimum_uid: options.minimum_uid,
        debug: options.debug,
    };
    helper::request_token(&request, deadline)?.ok_or(NoTokenReason::NoToken)
}

/// Why a session has no token. Only errors are logged as warnings.
enum NoTokenReason {
    NoUser,
    RefusedName,
    NotEnrolled,
    NoToken,
    Marker(MarkerError),
    Helper(helper::HelperError),
    Panicked(CaughtPanic),
}

impl NoTokenReason {
    fn is_error(&self) -> bool {
        match self {
            Self::NoUser | Self::RefusedName | Self::NotEnrolled | Self::NoToken => false,
            Self::Marker(_) | Self::Helper(_) | Self::Panicked(_) => true,
        }
    }
}

impl From<MarkerError> for NoTokenReason {
    fn from(error: MarkerError) -> Self {
        Self::Marker(error)
    }
}

impl From<helper::HelperError> for NoTokenReason {
    fn from(error: helper::HelperError) -> Self {
        Self::Helper(error)
    }
}

impl fmt::Display for NoTokenReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUser => formatter.write_str("no user is set"),
            Self::RefusedName => formatter.write_str("the user name is not valid for this module"),
            Self::NotEnrolled => formatter.write_str("not enrolled"),
            Self::NoToken => formatter.write_str("has no setup-token"),
            Self::Marker(error) => error.fmt(formatter),
            Self::Helper(error) => error.fmt(formatter),
            Self::Panicked(panicked) => panicked.fmt(formatter),
        }
    }
}

struct Outcome<'a> {
    token: &'a Result<SetupToken, NoTokenReason>,
    is_emptied: bool,
    elapsed: Option<Duration>,
}

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.token {
            Ok(_) => formatter.write_str("token set")?,
            Err(reason) if self.is_emptied => write!(formatter, "{reason}; variable emptied")?,
            Err(reason) => write!(formatter, "{reason}; nothing set")?,
        }
        write!(formatter, " (took {} ms)", self.elapsed.unwrap_or_default().as_millis())
    }
}
