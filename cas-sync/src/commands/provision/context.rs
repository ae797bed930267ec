//! What can be had in a run, and what it makes of what earlier runs have written down. Pure.

use super::plan::{DAY_MS, Desired, Facts, PolicyCheck, ProvisionResult, RunContext, TokenState};
use super::records::Record;

/// How long a proof that the policy is not too wide is believed: somebody may change the policy meanwhile.
const PROOF_LASTS_MS: u64 = 7 * DAY_MS;

impl RunContext {
    /// Whether a token that says it was made for `host` is this machine's to revoke. One that says nothing is the former
    /// script's, which made them for the machine they lie on.
    fn is_ours_to_revoke(&self, host: Option<&str>) -> bool {
        host.is_none_or(|host| host == self.host)
    }

    /// What of the record may be revoked once it serves no more.
    pub(super) fn revocable_tokens(&self, record: &Record) -> Vec<String> {
        let mut former = record.former.clone();
        if !record.accessor.is_empty() && self.is_ours_to_revoke(record.host.as_deref()) {
            former.push(record.accessor.clone());
        }
        former.sort();
        former.dedup();
        former
    }

    /// What may be revoked once `new` is shown to serve: of what lay there, what is their own and this machine's. Also `new`
    /// itself, should something else lie there in the end.
    pub(super) fn revocable_tokens_with(&self, facts: &Facts, new: &str) -> Vec<String> {
        let mut former = facts.former.clone();
        if let TokenState::Present(held) = &facts.token
            && held.foreign.is_none()
            && self.is_ours_to_revoke(held.host.as_deref())
        {
            former.push(held.accessor.clone());
        }
        former.push(new.to_owned());
        former.sort();
        former.dedup();
        former
    }

    /// What is known of this token's limits. Whoever wants policies replaced wants to know how they are now.
    pub(super) fn cached_policy_check(&self, token: &TokenState, record: &Record) -> PolicyCheck {
        let is_this = matches!(token, TokenState::Present(held) if held.accessor == record.accessor);
        match is_this && self.is_believed(record) && !self.rewrite_policies {
            true => PolicyCheck::Ok,
            false => PolicyCheck::Pending,
        }
    }

    /// What is to be written down of somebody in the end; nothing of whoever has gone for good.
    pub(super) fn record(
        &self,
        facts: &Facts,
        before: Option<Record>,
        ending: &ProvisionResult,
    ) -> Option<Record> {
        match (&facts.wanted, &facts.token) {
            (Desired::Removed { doubt: None }, _) if *ending == ProvisionResult::Ok => None,
            (Desired::Enrolled, TokenState::Present(held)) if held.foreign.is_none() => {
                let record = before.unwrap_or_default();
                let was_proved = record.accessor == held.accessor && self.is_believed(&record);
                let replaced = facts.former.iter().filter(|former| **former != held.accessor);
                Some(Record {
                    accessor: held.accessor.clone(),
                    host: held.host.clone(),
                    former: replaced.cloned().collect(),
                    proved_at_ms: match facts.proof {
                        PolicyCheck::Ok if was_proved => record.proved_at_ms,
                        PolicyCheck::Ok => self.now_ms,
                        _ => 0,
                    },
                    proved_at: self.place.clone(),
                    units_are_due: record.units_are_due,
                })
            }
            (Desired::Enrolled, TokenState::NotRequired) if *ending == ProvisionResult::Ok => {
                Some(before.unwrap_or_default())
            }
            _ => before,
        }
    }

    /// A proof from the future is that of a clock which was wrong.
    fn is_believed(&self, record: &Record) -> bool {
        let lasts = record.proved_at_ms..record.proved_at_ms.saturating_add(PROOF_LASTS_MS);
        lasts.contains(&self.now_ms) && record.proved_at == self.place
    }
}

#[cfg(test)]
mod tests {
    use cas_vault::TokenInfo;

    use super::*;

    fn means() -> RunContext {
        RunContext {
            now_ms: 100 * DAY_MS,
            host: "here".into(),
            place: "https://vault/secret/people".into(),
            no_admin: None,
            rewrite_policies: false,
        }
    }

    fn held(accessor: &str) -> TokenState {
        TokenState::Present(TokenInfo {
            accessor: accessor.into(),
            foreign: None,
            expires_at_ms: None,
            is_renewable: true,
            is_orphan: true,
            host: Some("here".into()),
        })
    }

    fn record() -> Record {
        Record {
            accessor: "a".into(),
            host: Some("here".into()),
            former: vec!["b".into()],
            proved_at_ms: 99 * DAY_MS,
            proved_at: "https://vault/secret/people".into(),
            units_are_due: false,
        }
    }

    #[test]
    fn a_proof_is_believed_for_a_week_of_the_same_token() {
        let means = means();
        assert_eq!(means.cached_policy_check(&held("a"), &record()), PolicyCheck::Ok);
        assert_eq!(means.cached_policy_check(&held("other"), &record()), PolicyCheck::Pending);
        assert_eq!(means.cached_policy_check(&TokenState::NotRequired, &record()), PolicyCheck::Pending);
        let old = Record { proved_at_ms: 93 * DAY_MS, ..record() };
        assert_eq!(means.cached_policy_check(&held("a"), &old), PolicyCheck::Pending);
        let moved = Record { proved_at: "https://vault/kv/people".into(), ..record() };
        assert_eq!(
            means.cached_policy_check(&held("a"), &moved),
            PolicyCheck::Pending,
            "there is another policy for that"
        );
        let rewriting = RunContext { rewrite_policies: true, ..means };
        assert_eq!(
            rewriting.cached_policy_check(&held("a"), &record()),
            PolicyCheck::Pending,
            "as it is now"
        );
    }

    #[test]
    fn another_machines_token_is_not_ours_to_revoke() {
        assert_eq!(means().revocable_tokens(&record()), ["a", "b"]);
        let elsewhere = Record { host: Some("there".into()), ..record() };
        assert_eq!(means().revocable_tokens(&elsewhere), ["b"], "but those that this machine has replaced");
        assert_eq!(
            means().revocable_tokens(&Record { host: None, ..record() }),
            ["a", "b"],
            "the former script's"
        );
        assert_eq!(means().revocable_tokens(&Record::default()), Vec::<String>::new());
    }
}
