//! Attributes the result of a refresh to a login. During the refresh, Claude Code exchanges the
//! login, and a session or a sign-in may replace it.

use crate::credential::login::LoginSummary;
use crate::credential::login_file::LoginFileState;
use crate::credential::verification::Verification;

/// Returns the result, and the login it applies to, if that is known. `before` and `after` are the
/// states of the credential file.
pub fn attribute_refresh(
    verdict: Verification,
    before: Option<LoginSummary>,
    after: &LoginFileState<LoginSummary>,
) -> (Verification, Option<LoginSummary>) {
    match (before, after) {
        // Even if the old access token was accepted once more, the refresh was rejected for good.
        (before, LoginFileState::ClearedByClient) => {
            (Verification::Rejected { account_level: false }, before)
        }
        (Some(before), after) => {
            let login = after.login().filter(|after| applies_to(&verdict, &before, after)).cloned();
            (verdict, login)
        }
        (None, _) => (verdict, None),
    }
}

/// Returns true if the result applies to the login after the refresh: it is the same one, or the
/// result is positive and the login came from this refresh, not from a sign-in.
fn applies_to(verdict: &Verification, before: &LoginSummary, after: &LoginSummary) -> bool {
    let is_same_sign_in = match (before.login_expires_at, after.login_expires_at) {
        (Some(before), Some(after)) => before == after,
        _ => true,
    };
    let is_successor = is_same_sign_in && !before.owner.contradicts(&after.owner);
    before.generation == after.generation || (verdict.is_alive() && is_successor)
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
    fn refresh_result_applies_only_to_the_login_it_led_to() {
        let rejected = Verification::Rejected { account_level: false };
        let before = login("old", Some(7), Some("hers"));
        let rows = [
            (Verification::Ok, before.clone(), true),
            (rejected.clone(), before.clone(), true),
            (Verification::Ok, login("new", Some(7), None), true),
            (Verification::Ok, login("new", None, Some("hers")), true),
            (Verification::RateLimited, login("new", None, None), true),
            // Another session's refresh, or a sign-in.
            (rejected, login("new", Some(7), None), false),
            (Verification::Inconclusive("529".into()), login("new", Some(7), None), false),
            (Verification::Ok, login("new", Some(8), None), false),
            (Verification::Ok, login("new", Some(7), Some("another")), false),
        ];
        for (verdict, after, is_about) in rows {
            let result = attribute_refresh(
                verdict.clone(),
                Some(before.clone()),
                &LoginFileState::AccessTokenExpired(after.clone()),
            );
            assert_eq!(result, (verdict, is_about.then_some(after)));
        }
        let after = LoginFileState::Valid(before.clone());
        assert_eq!(
            attribute_refresh(Verification::Ok, None, &after),
            (Verification::Ok, None),
            "the refreshed login is unknown"
        );
        assert_eq!(
            attribute_refresh(Verification::Ok, Some(before), &LoginFileState::Missing),
            (Verification::Ok, None)
        );
    }

    #[test]
    fn login_cleared_by_its_refresh_counts_as_rejected() {
        let before = login("old", None, None);
        for verdict in [Verification::Ok, Verification::Inconclusive("529".into())] {
            let result = attribute_refresh(verdict, Some(before.clone()), &LoginFileState::ClearedByClient);
            assert_eq!(result, (Verification::Rejected { account_level: false }, Some(before.clone())));
        }
    }
}
