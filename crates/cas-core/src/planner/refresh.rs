//! What a refresh run says, and of which login. Claude Code exchanges the login meanwhile, a session may as well, and somebody
//! may sign in anew.

use crate::credential::login::LoginSummary;
use crate::credential::login_file::LoginFileState;
use crate::credential::verification::Verification;

/// What was shown, given what lay in the credential file before and after: the verdict, and the login it is about, if it is
/// about any that is known.
pub fn attribute_refresh(
    verdict: Verification,
    before: Option<LoginSummary>,
    after: &LoginFileState<LoginSummary>,
) -> (Verification, Option<LoginSummary>) {
    match (before, after) {
        // Even if the server took the old access token once more: its refresh was refused for good.
        (before, LoginFileState::ClearedByClient) => {
            (Verification::Rejected { account_level: false }, before)
        }
        (Some(before), after) => {
            let about = after.login().filter(|after| says_something_of(&verdict, &before, after)).cloned();
            (verdict, about)
        }
        (None, _) => (verdict, None),
    }
}

/// Of a login that came meanwhile only a good answer says something, and only if it came of that refresh and not of a sign-in.
fn says_something_of(verdict: &Verification, before: &LoginSummary, after: &LoginSummary) -> bool {
    let is_of_same_sign_in = match (before.login_expires_at, after.login_expires_at) {
        (Some(before), Some(after)) => before == after,
        _ => true,
    };
    let is_its_successor = is_of_same_sign_in && !before.owner.contradicts(&after.owner);
    before.generation == after.generation || (verdict.is_alive() && is_its_successor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::fingerprint::RefreshTokenId;
    use crate::credential::login::Owner;
    use crate::time::timestamp::Timestamp;

    fn login(name: &str, signed_in: Option<u64>, account: Option<&str>) -> LoginSummary {
        LoginSummary {
            generation: RefreshTokenId::from_bytes(name),
            expires_at: Timestamp::from_millis(1),
            login_expires_at: signed_in.map(Timestamp::from_millis),
            owner: Owner { account: account.map(str::to_owned), ..Owner::default() },
        }
    }

    #[test]
    fn a_refresh_is_credited_to_the_login_it_led_to_and_to_no_other() {
        let rejected = Verification::Rejected { account_level: false };
        let before = login("old", Some(7), Some("hers"));
        let rows = [
            (Verification::Ok, before.clone(), true),
            (rejected.clone(), before.clone(), true),
            (Verification::Ok, login("new", Some(7), None), true),
            (Verification::Ok, login("new", None, Some("hers")), true),
            (Verification::RateLimited, login("new", None, None), true),
            // What a session exchanged meanwhile, or somebody signed in to.
            (rejected, login("new", Some(7), None), false),
            (Verification::Inconclusive("529".into()), login("new", Some(7), None), false),
            (Verification::Ok, login("new", Some(8), None), false),
            (Verification::Ok, login("new", Some(7), Some("another")), false),
        ];
        for (verdict, after, is_about) in rows {
            let said = attribute_refresh(
                verdict.clone(),
                Some(before.clone()),
                &LoginFileState::AccessTokenExpired(after.clone()),
            );
            assert_eq!(said, (verdict, is_about.then_some(after)));
        }
        let after = LoginFileState::Valid(before.clone());
        assert_eq!(
            attribute_refresh(Verification::Ok, None, &after),
            (Verification::Ok, None),
            "nobody knows what was refreshed"
        );
        assert_eq!(
            attribute_refresh(Verification::Ok, Some(before), &LoginFileState::Missing),
            (Verification::Ok, None)
        );
    }

    #[test]
    fn a_login_that_is_emptied_by_its_refresh_was_rejected_whatever_was_answered() {
        let before = login("old", None, None);
        for verdict in [Verification::Ok, Verification::Inconclusive("529".into())] {
            let said = attribute_refresh(verdict, Some(before.clone()), &LoginFileState::ClearedByClient);
            assert_eq!(said, (Verification::Rejected { account_level: false }, Some(before.clone())));
        }
    }
}
