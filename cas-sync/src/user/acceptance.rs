//! Decides whether a new credential may be activated, from its verification. Pure.

use cas_core::credential::verification::Verification;
use cas_core::outcome::ExitStatus;

use crate::user::error::CommandError;

/// Accepts a valid credential. An inconclusive one is accepted with `--unverified`; a rejected one
/// never is.
///
/// # Errors
/// [`CommandError`] with the reason and the remedy; `what` is the credential, `remedy` how to
/// create a valid one.
pub(crate) fn check_accepted(
    what: &str,
    verdict: &Verification,
    unverified: bool,
    remedy: &str,
) -> Result<(), CommandError> {
    match verdict {
        Verification::Ok | Verification::RateLimited => Ok(()),
        Verification::Rejected { account_level: false } => Err(CommandError::new(
            ExitStatus::SignInRequired,
            format!("the Anthropic API rejects {what}: {remedy}"),
        )),
        Verification::Rejected { account_level: true } => Err(CommandError::new(
            ExitStatus::Failure,
            format!("the Anthropic API refuses the account or organization of {what}; ask its administrator"),
        )),
        Verification::ClientUnusable(_) | Verification::Inconclusive(_) if unverified => Ok(()),
        Verification::ClientUnusable(why) => Err(CommandError::new(
            ExitStatus::ClientUnusable,
            format!(
                "cannot verify {what}, because claude is unusable: {why}; --unverified accepts it nevertheless"
            ),
        )),
        Verification::Inconclusive(why) => Err(CommandError::new(
            ExitStatus::TryLater,
            format!("cannot verify {what}: {why}; try again later, or accept it with --unverified"),
        )),
    }
}

/// Describes a verification in words that follow a name and a comma.
pub(crate) fn describe_verification(verdict: &Verification) -> String {
    match verdict {
        Verification::Ok => "verified by inference".into(),
        Verification::RateLimited => "verified: valid, its usage limit is reached".into(),
        Verification::ClientUnusable(why) | Verification::Inconclusive(why) => format!("not verified: {why}"),
        Verification::Rejected { .. } => "rejected by the Anthropic API".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_is_accepted_if_valid_or_unverified_on_request() {
        let (unusable, unknown) =
            (Verification::ClientUnusable("no claude".into()), Verification::Inconclusive("529".into()));
        let (dead, refused) =
            (Verification::Rejected { account_level: false }, Verification::Rejected { account_level: true });
        for (verdict, code, code_on_request) in [
            (Verification::Ok, None, None),
            (Verification::RateLimited, None, None),
            (dead, Some(79), Some(79)),
            (refused, Some(1), Some(1)),
            (unusable, Some(69), None),
            (unknown, Some(75), None),
        ] {
            let code_of = |unverified| {
                check_accepted("it", &verdict, unverified, "x").err().map(|failed| failed.status.code())
            };
            assert_eq!((code_of(false), code_of(true)), (code, code_on_request), "{verdict:?}");
        }
    }
}
