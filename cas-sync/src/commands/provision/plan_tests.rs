use super::*;

const NOW: u64 = 1_800_000_000_000;

fn valid_token() -> TokenInfo {
    TokenInfo {
        accessor: "a".into(),
        foreign: None,
        expires_at_ms: Some(NOW + 30 * DAY_MS),
        is_renewable: true,
        is_orphan: true,
        host: Some("here".into()),
    }
}

/// Returns the facts of a user who needs no changes.
fn enrolled_user() -> Facts {
    Facts {
        desired: Desired::Enrolled,
        skip_reason: None,
        is_enrolled: true,
        enrollment_failed: None,
        token: TokenState::Present(valid_token()),
        policy_check: PolicyCheck::Ok,
        renewal: Attempt::NotTried,
        minting: Attempt::NotTried,
        policy: Attempt::NotTried,
        former: vec!["a".into()],
        revocation: Attempt::NotTried,
        offboarding: None,
        document: Attempt::NotTried,
    }
}

/// Returns the facts of a user who is not enrolled and has no token.
fn new_user() -> Facts {
    Facts {
        is_enrolled: false,
        token: TokenState::Absent("none".into()),
        policy_check: PolicyCheck::Pending,
        former: Vec::new(),
        ..enrolled_user()
    }
}

fn context(admin_unavailable: Option<&str>) -> RunContext {
    RunContext {
        now_ms: NOW,
        host: "here".into(),
        document_location: String::new(),
        admin_unavailable: admin_unavailable.map(str::to_owned),
        rewrite_policies: false,
    }
}

/// Returns the steps and the final result if each step succeeds.
fn steps(mut facts: Facts, context: &RunContext) -> (Vec<&'static str>, ProvisionResult) {
    let mut names = Vec::new();
    for _ in 0..20 {
        let step = next_step(&facts, context);
        names.push(match &step {
            Step::Done(result) => return (names, result.clone()),
            Step::Renew => "renew",
            Step::Mint(_) => "mint",
            Step::CheckPolicy => "check-policy",
            Step::RewritePolicy => "rewrite",
            Step::Enroll => "enroll",
            Step::Unenroll => "unenroll",
            Step::Offboard(Offboarding::Mark) => "mark",
            Step::Offboard(Offboarding::Delete) => "delete",
            Step::Revoke => "revoke",
        });
        facts = facts.simulate(&step, NOW);
        assert!(facts.confirm(&step), "{step:?}");
    }
    panic!("the plan does not end: {names:?}");
}

fn refusal() -> StoreError {
    StoreError::Refused { reason: "no".into(), remedy: "retry".into() }
}

#[test]
fn plan_takes_expected_steps_for_each_state() {
    let (with, without) = (context(None), context(Some("no admin")));
    let new = new_user();
    let held = |change: fn(&mut TokenInfo)| {
        let mut info = valid_token();
        change(&mut info);
        TokenState::Present(info)
    };
    let gone = Facts { desired: Desired::Removed { doubt: None }, ..enrolled_user() };
    let off = Facts { desired: Desired::Disabled("parked"), ..enrolled_user() };
    let marked = |offboarding| Facts { offboarding: Some(offboarding), ..gone.clone() };
    for (what, facts, context, expected) in [
        (
            "an offboarded user's document is marked before the token is revoked",
            marked(Offboarding::Mark),
            &with,
            &["unenroll", "mark", "revoke"][..],
        ),
        (
            "an offboarded user's document is deleted before the token is revoked",
            marked(Offboarding::Delete),
            &with,
            &["unenroll", "delete", "revoke"],
        ),
        ("a user in the requested state needs no step", enrolled_user(), &with, &[]),
        ("the same without an administrator's token", enrolled_user(), &without, &[]),
        ("a new user gets a token and is enrolled", new.clone(), &with, &["mint", "check-policy", "enroll"]),
        (
            "a renewable token that expires soon is renewed",
            Facts { token: held(|info| info.expires_at_ms = Some(NOW + DAY_MS)), ..enrolled_user() },
            &without,
            &["renew"],
        ),
        (
            "a token that cannot be renewed is replaced",
            Facts {
                token: held(|info| (info.expires_at_ms, info.is_renewable) = (Some(NOW + DAY_MS), false)),
                ..enrolled_user()
            },
            &with,
            &["mint", "check-policy", "revoke"],
        ),
        (
            "a token of another user is replaced",
            Facts { token: held(|info| info.foreign = Some("bob".into())), ..enrolled_user() },
            &with,
            &["mint", "check-policy", "revoke"],
        ),
        (
            "a token that is not an orphan is replaced",
            Facts { token: held(|info| info.is_orphan = false), ..enrolled_user() },
            &with,
            &["mint", "check-policy", "revoke"],
        ),
        (
            "a token without expiry is not changed",
            Facts { token: held(|info| info.expires_at_ms = None), ..enrolled_user() },
            &with,
            &[],
        ),
        (
            "an old policy check is repeated",
            Facts { policy_check: PolicyCheck::Pending, ..enrolled_user() },
            &without,
            &["check-policy"],
        ),
        (
            "the local store needs only enrollment",
            Facts {
                former: Vec::new(),
                token: TokenState::NotRequired,
                is_enrolled: false,
                ..enrolled_user()
            },
            &without,
            &["enroll"],
        ),
        ("a parked user is unenrolled", off.clone(), &without, &["unenroll"]),
        ("a parked user is not enrolled", Facts { is_enrolled: false, ..off }, &without, &[]),
        ("a removed user is unenrolled and the token revoked", gone.clone(), &with, &["unenroll", "revoke"]),
        (
            "a removed user without a token is unenrolled",
            Facts { former: Vec::new(), ..gone.clone() },
            &without,
            &["unenroll"],
        ),
    ] {
        assert_eq!(steps(facts, context), (expected.to_vec(), ProvisionResult::Ok), "{what}");
    }
}

#[test]
fn plan_stops_for_admin_skip_or_failure() {
    let without = context(Some("no admin"));
    let new = new_user();
    let waits = |facts: Facts| match steps(facts, &without) {
        (steps, ProvisionResult::NeedsAdmin(what)) => (steps, what),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        waits(new.clone()),
        (vec![], "none; no admin".into()),
        "a user without a token is not enrolled"
    );
    let gone = Facts { desired: Desired::Removed { doubt: None }, ..enrolled_user() };
    assert_eq!(waits(gone.clone()), (vec!["unenroll"], "the token must be revoked; no admin".into()));
    assert!(
        waits(Facts { policy_check: PolicyCheck::TooNarrow, ..enrolled_user() })
            .1
            .contains("--rewrite-policies")
    );
    let expiring = TokenState::Present(TokenInfo { is_orphan: false, ..valid_token() });
    assert!(waits(Facts { token: expiring, ..enrolled_user() }).1.contains("expires together with"));

    let skipped = |facts: Facts| match steps(facts, &context(None)) {
        (steps, ProvisionResult::Skipped(why)) if steps.is_empty() => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(skipped(Facts { skip_reason: Some("no account".into()), ..new.clone() }), "no account");
    assert_eq!(skipped(Facts { token: TokenState::HomeUnusable("a FIFO".into()), ..new.clone() }), "a FIFO");
    let doubted = Facts { desired: Desired::Removed { doubt: Some("incomplete".into()) }, ..gone };
    assert_eq!(steps(doubted, &context(None)), (vec![], ProvisionResult::RemovalVetoed("incomplete".into())));

    let failed = |facts: Facts| steps(facts, &context(None));
    assert_eq!(
        failed(Facts { token: TokenState::Unknown(refusal()), ..new.clone() }),
        (vec![], ProvisionResult::Failed(refusal()))
    );
    assert_eq!(
        failed(Facts { minting: Attempt::Failed(refusal()), ..new }),
        (vec![], ProvisionResult::Failed(refusal()))
    );
}

#[test]
fn policy_is_rewritten_once_and_only_on_request() {
    let wide = Facts {
        policy_check: PolicyCheck::TooBroad(vec!["list".into()]),
        is_enrolled: false,
        ..enrolled_user()
    };
    assert_eq!(
        steps(wide.clone(), &context(None)),
        (vec!["enroll"], ProvisionResult::PolicyTooBroad(vec!["list".into()]))
    );
    let rewriting = RunContext { rewrite_policies: true, ..context(None) };
    assert_eq!(
        steps(wide.clone(), &rewriting),
        (vec!["rewrite", "check-policy", "enroll"], ProvisionResult::Ok)
    );
    let rewritten = Facts { policy: Attempt::Done, ..wide.clone() };
    assert_eq!(
        steps(rewritten, &rewriting),
        (vec!["enroll"], ProvisionResult::PolicyTooBroad(vec!["list".into()]))
    );
    let rejected = Facts { policy: Attempt::Failed(refusal()), ..wide };
    assert_eq!(steps(rejected, &rewriting).1, ProvisionResult::Failed(refusal()));
}

#[test]
fn failed_step_is_reported() {
    let expiring = TokenInfo { expires_at_ms: Some(NOW), is_renewable: false, ..valid_token() };
    for info in [valid_token(), expiring.clone(), TokenInfo { foreign: Some("x".into()), ..valid_token() }] {
        let facts = Facts {
            token: TokenState::Present(info),
            minting: Attempt::Failed(refusal()),
            ..enrolled_user()
        };
        assert_eq!(
            steps(facts, &context(None)),
            (vec![], ProvisionResult::Failed(refusal())),
            "no new token"
        );
    }
    let not_revoked = Facts {
        former: vec!["a".into(), "b".into()],
        revocation: Attempt::Failed(refusal()),
        ..enrolled_user()
    };
    assert_eq!(steps(not_revoked.clone(), &context(None)), (vec![], ProvisionResult::Failed(refusal())));
    let pending = Facts { revocation: Attempt::NotTried, ..not_revoked };
    assert_eq!(steps(pending.clone(), &context(None)), (vec!["revoke"], ProvisionResult::Ok));
    assert_eq!(pending.tokens_to_revoke(), ["b"], "the current token stays");
    let ProvisionResult::NeedsAdmin(what) = steps(pending, &context(Some("no admin"))).1 else {
        panic!("expected NeedsAdmin")
    };
    assert_eq!(what, "an earlier token must be revoked; no admin");

    // A token that is valid until an administrator replaces it is used.
    let new = Facts {
        is_enrolled: false,
        token: TokenState::Present(expiring),
        policy_check: PolicyCheck::Pending,
        ..enrolled_user()
    };
    let (taken, result) = steps(new, &context(Some("no admin")));
    assert_eq!(taken, ["check-policy", "enroll"]);
    assert!(matches!(result, ProvisionResult::NeedsAdmin(what) if what.contains("expires within a week")));
}

#[test]
fn run_mints_at_most_one_token_per_user() {
    let foreign = TokenState::Present(TokenInfo { foreign: Some("x".into()), ..valid_token() });
    let expiring =
        TokenState::Present(TokenInfo { expires_at_ms: Some(NOW), is_renewable: false, ..valid_token() });
    for token in
        [foreign, expiring, TokenState::Absent("gone".into()), TokenState::HomeUnusable("full".into())]
    {
        let facts = Facts { token, minting: Attempt::Done, ..enrolled_user() };
        assert!(!steps(facts, &context(None)).0.contains(&"mint"));
    }
}

#[test]
fn unusable_new_token_is_reported_and_revokes_nothing() {
    let unusable = Facts {
        token: TokenState::Absent("it cannot look itself up".into()),
        minting: Attempt::Done,
        former: vec!["a".into(), "new".into()],
        ..enrolled_user()
    };
    let ProvisionResult::NeedsAdmin(what) = steps(unusable.clone(), &context(None)).1 else {
        panic!("expected NeedsAdmin")
    };
    assert!(what.contains("--rewrite-policies"), "{what}");
    let rewriting = RunContext { rewrite_policies: true, ..context(None) };
    let (taken, result) = steps(unusable, &rewriting);
    assert_eq!(taken, ["rewrite"], "no token is revoked before another was checked");
    assert!(
        matches!(result, ProvisionResult::NeedsAdmin(what) if what.contains("although its policy was replaced"))
    );
}

#[test]
fn marked_document_skips_the_user() {
    let facts = Facts { policy_check: PolicyCheck::Offboarded, is_enrolled: false, ..enrolled_user() };
    assert_eq!(steps(facts, &context(None)), (vec![], ProvisionResult::Skipped(OFFBOARDED.into())));
}

#[test]
fn offboarding_without_admin_token_needs_admin() {
    let gone = Facts {
        desired: Desired::Removed { doubt: None },
        offboarding: Some(Offboarding::Mark),
        ..enrolled_user()
    };
    let (done, result) = steps(gone, &context(Some("no admin")));
    assert_eq!(done, ["unenroll"]);
    assert!(matches!(&result, ProvisionResult::NeedsAdmin(what) if what.contains("marked")), "{result:?}");
}
