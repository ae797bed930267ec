//! Whether a credential that was given to us may be put in force, from what real inference showed of it. Pure.

use cas_core::credential::verification::Verification;

use crate::user::error::CommandError;

/// Lets in what works. What nobody could find anything out about is let in where that was asked for (`--unverified`); what the
/// server refuses never is.
///
/// # Errors
/// [`CommandError`], which says why and what to do; `what` is the credential, `remedy` how to make a good one.
pub(crate) fn check_accepted(
    what: &str,
    verdict: &Verification,
    unverified: bool,
    remedy: &str,
) -> Result<(), CommandError> {
    match verdict {
        Verification::Ok | Verification::RateLimited => Ok(()),
        Verification::Rejected { account_level: false } => {
            Err(CommandError::new(79, format!("the server rejects {what}: {remedy}")))
        }
        Verification::Rejected { account_level: true } => Err(CommandError::new(
            1,
            format!("the server refuses the account or organisation of {what}; ask its administrator"),
        )),
        Verification::ClientUnusable(_) | Verification::Inconclusive(_) if unverified => Ok(()),
        Verification::ClientUnusable(why) => Err(CommandError::new(
            69,
            format!(
                "{what} could not be verified, since claude cannot be used: {why}; --unverified takes it all the same"
            ),
        )),
        Verification::Inconclusive(why) => Err(CommandError::new(
            75,
            format!(
                "{what} could not be verified: {why}; try again later, or --unverified takes it all the same"
            ),
        )),
    }
}

/// What was shown, in words that follow a name and a comma.
pub(crate) fn describe_verification(verdict: &Verification) -> String {
    match verdict {
        Verification::Ok => "verified by inference".into(),
        Verification::RateLimited => "verified: alive, its usage limit is reached".into(),
        Verification::ClientUnusable(why) | Verification::Inconclusive(why) => format!("not verified: {why}"),
        Verification::Rejected { .. } => "rejected by the server".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_works_is_let_in_and_on_request_what_nobody_knows_anything_about() {
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
            let code_of =
                |unverified| check_accepted("it", &verdict, unverified, "x").err().map(|failed| failed.code);
            assert_eq!((code_of(false), code_of(true)), (code, code_on_request), "{verdict:?}");
        }
    }
}
