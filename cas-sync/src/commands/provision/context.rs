//! Pure functions that derive facts and records from the run context and earlier records.

use super::plan::{DAY_MS, Desired, Facts, PolicyCheck, ProvisionResult, RunContext, TokenState};
use super::records::Record;

/// The period for which a successful policy check is reused. The policy can change in the meantime.
const POLICY_CHECK_VALIDITY_MS: u64 = 7 * DAY_MS;

impl RunContext {
    /// Returns true if this machine may revoke a token that was minted for `host`. Tokens without a
    /// host come from the earlier script, which minted them for the local machine.
    fn is_revocable(&self, host: Option<&str>) -> bool {
        host.is_none_or(|host| host == self.host)
    }

    /// Returns the recorded accessors that may be revoked when they are no longer used.
    pub(super) fn revocable_tokens(&self, record: &Record) -> Vec<String> {
        let mut former = record.former.clone();
        if !record.accessor.is_empty() && self.is_revocable(record.host.as_deref()) {
            former.push(record.accessor.clone());
        }
        former.sort();
        former.dedup();
        former
    }

    /// Returns the accessors that may be revoked after a check of the new token. Includes the
    /// current token if it belongs to this user and this machine, and `new` itself in case the
    /// token file holds another token in the end.
    pub(super) fn revocable_tokens_after_mint(&self, facts: &Facts, new: &str) -> Vec<String> {
        let mut former = facts.former.clone();
        if let TokenState::Present(held) = &facts.token
            && held.foreign.is_none()
            && self.is_revocable(held.host.as_deref())
        {
            former.push(held.accessor.clone());
        }
        former.push(new.to_owned());
        former.sort();
        former.dedup();
        former
    }

    /// Returns the recorded result of the policy check for this token. `--rewrite-policies` always
    /// requires a new check.
    pub(super) fn cached_policy_check(&self, token: &TokenState, record: &Record) -> PolicyCheck {
        let is_this = matches!(token, TokenState::Present(held) if held.accessor == record.accessor);
        match is_this && self.is_check_valid(record) && !self.rewrite_policies {
            true => PolicyCheck::Ok,
            false => PolicyCheck::Pending,
        }
    }

    /// Returns the record to write at the end of the run, or None if the user was removed
    /// completely.
    pub(super) fn final_record(
        &self,
        facts: &Facts,
        before: Option<Record>,
        result: &ProvisionResult,
    ) -> Option<Record> {
        match (&facts.desired, &facts.token) {
            (Desired::Removed { doubt: None }, _) if *result == ProvisionResult::Ok => None,
            (Desired::Enrolled, TokenState::Present(held)) if held.foreign.is_none() => {
                let record = before.unwrap_or_default();
                let was_checked = record.accessor == held.accessor && self.is_check_valid(&record);
                let replaced = facts.former.iter().filter(|former| **former != held.accessor);
                Some(Record {
                    accessor: held.accessor.clone(),
                    host: held.host.clone(),
                    former: replaced.cloned().collect(),
                    policy_checked_at_ms: match facts.policy_check {
                        PolicyCheck::Ok if was_checked => record.policy_checked_at_ms,
                        PolicyCheck::Ok => self.now_ms,
                        _ => 0,
                    },
                    policy_checked_location: self.document_location.clone(),
                    units_pending: record.units_pending,
                })
            }
            (Desired::Enrolled, TokenState::NotRequired) if *result == ProvisionResult::Ok => {
                Some(before.unwrap_or_default())
            }
            _ => before,
        }
    }

    /// Returns true if the recorded check is recent and applies to the current document location. A
    /// time in the future comes from a wrong clock and does not count.
    fn is_check_valid(&self, record: &Record) -> bool {
        let validity =
            record.policy_checked_at_ms..record.policy_checked_at_ms.saturating_add(POLICY_CHECK_VALIDITY_MS);
        validity.contains(&self.now_ms) && record.policy_checked_location == self.document_location
    }
}

#[cfg(test)]
mod tests {
    use cas_vault::TokenInfo;

    use super::*;

    fn context() -> RunContext {
        RunContext {
            now_ms: 100 * DAY_MS,
            host: "here".into(),
            document_location: "https://vault/secret/people".into(),
            admin_unavailable: None,
            rewrite_policies: false,
        }
    }

    fn present_token(accessor: &str) -> TokenState {
        TokenState::Present(TokenInfo {
            accessor: accessor.into(),
            foreign: None,
            expires_at_ms: None,
            is_renewable: true,
            is_orphan: true,
            host: Some("here".into()),
        })
    }

    fn sample_record() -> Record {
        Record {
            accessor: "a".into(),
            host: Some("here".into()),
            former: vec!["b".into()],
            policy_checked_at_ms: 99 * DAY_MS,
            policy_checked_location: "https://vault/secret/people".into(),
            units_pending: false,
        }
    }

    #[test]
    fn policy_check_of_same_token_is_reused_for_a_week() {
        let context = context();
        assert_eq!(context.cached_policy_check(&present_token("a"), &sample_record()), PolicyCheck::Ok);
        assert_eq!(
            context.cached_policy_check(&present_token("other"), &sample_record()),
            PolicyCheck::Pending
        );
        assert_eq!(
            context.cached_policy_check(&TokenState::NotRequired, &sample_record()),
            PolicyCheck::Pending
        );
        let old = Record { policy_checked_at_ms: 93 * DAY_MS, ..sample_record() };
        assert_eq!(context.cached_policy_check(&present_token("a"), &old), PolicyCheck::Pending);
        let moved = Record { policy_checked_location: "https://vault/kv/people".into(), ..sample_record() };
        assert_eq!(
            context.cached_policy_check(&present_token("a"), &moved),
            PolicyCheck::Pending,
            "another location has another policy"
        );
        let rewriting = RunContext { rewrite_policies: true, ..context };
        assert_eq!(
            rewriting.cached_policy_check(&present_token("a"), &sample_record()),
            PolicyCheck::Pending,
            "--rewrite-policies requires a new check"
        );
    }

    #[test]
    fn token_of_other_machine_is_not_revocable() {
        assert_eq!(context().revocable_tokens(&sample_record()), ["a", "b"]);
        let elsewhere = Record { host: Some("there".into()), ..sample_record() };
        assert_eq!(
            context().revocable_tokens(&elsewhere),
            ["b"],
            "tokens that this machine replaced stay revocable"
        );
        assert_eq!(
            context().revocable_tokens(&Record { host: None, ..sample_record() }),
            ["a", "b"],
            "a token of the earlier script"
        );
        assert_eq!(context().revocable_tokens(&Record::default()), Vec::<String>::new());
    }
}
