//! Whether a credential that was given to us may be put in force, from what real inference showed of it. Pure.

use cas_core::credential::verification::Verdict;

use crate::user::error::Failed;

/// Lets in what works. What nobody could find anything out about is let in where that was asked for (`--unverified`); what the
/// server refuses never is.
///
/// # Errors
/// [`Failed`], which says why and what to do; `what` is the credential, `remedy` how to make a good one.
pub(crate) fn admit(what: &str, verdict: &Verdict, unverified: bool, remedy: &str) -> Result<(), Failed> {
    match verdict {
        Verdict::Ok | Verdict::Limited => Ok(()),
        Verdict::Rejected { account_level: false } => {
            Err(Failed::new(79, format!("the server rejects {what}: {remedy}")))
        }
        Verdict::Rejected { account_level: true } => Err(Failed::new(
            1,
            format!("the server refuses the account or organisation of {what}; ask its administrator"),
        )),
        Verdict::Unusable(_) | Verdict::Unknown(_) if unverified => Ok(()),
        Verdict::Unusable(why) => Err(Failed::new(
            69,
            format!(
                "{what} could not be verified, since claude cannot be used: {why}; --unverified takes it all the same"
            ),
        )),
        Verdict::Unknown(why) => Err(Failed::new(
            75,
            format!(
                "{what} could not be verified: {why}; try again later, or --unverified takes it all the same"
            ),
        )),
    }
}

/// What was shown, in words that follow a name and a comma.
pub(crate) fn shown(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Ok => "verified by inference".into(),
        Verdict::Limited => "verified: alive, its usage limit is reached".into(),
        Verdict::Unusable(why) | Verdict::Unknown(why) => format!("not verified: {why}"),
        Verdict::Rejected { .. } => "rejected by the server".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_works_is_let_in_and_on_request_what_nobody_knows_anything_about() {
        let (unusable, unknown) = (Verdict::Unusable("no claude".into()), Verdict::Unknown("529".into()));
        let (dead, refused) =
            (Verdict::Rejected { account_level: false }, Verdict::Rejected { account_level: true });
        for (verdict, code, code_on_request) in [
            (Verdict::Ok, None, None),
            (Verdict::Limited, None, None),
            (dead, Some(79), Some(79)),
            (refused, Some(1), Some(1)),
            (unusable, Some(69), None),
            (unknown, Some(75), None),
        ] {
            let code_of = |unverified| admit("it", &verdict, unverified, "x").err().map(|failed| failed.code);
            assert_eq!((code_of(false), code_of(true)), (code, code_on_request), "{verdict:?}");
        }
    }
}
