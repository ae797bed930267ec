use super::*;

const NOW: u64 = 1_800_000_000_000;

fn sound() -> TokenInfo {
    TokenInfo {
        accessor: "a".into(),
        foreign: None,
        expires_at_ms: Some(NOW + 30 * DAY_MS),
        is_renewable: true,
        is_orphan: true,
        host: Some("here".into()),
    }
}

/// Somebody for whom nothing is to be done.
fn settled() -> Facts {
    Facts {
        wanted: Desired::Enrolled,
        unservable: None,
        is_enrolled: true,
        enrollment_failed: None,
        token: TokenState::Present(sound()),
        proof: PolicyCheck::Ok,
        renewal: Attempt::NotTried,
        minting: Attempt::NotTried,
        policy: Attempt::NotTried,
        former: vec!["a".into()],
        revocation: Attempt::NotTried,
    }
}

/// Somebody who has nothing yet.
fn newcomer() -> Facts {
    Facts {
        is_enrolled: false,
        token: TokenState::Absent("none".into()),
        proof: PolicyCheck::Pending,
        former: Vec::new(),
        ..settled()
    }
}

fn means(no_admin: Option<&str>) -> RunContext {
    RunContext {
        now_ms: NOW,
        host: "here".into(),
        place: String::new(),
        no_admin: no_admin.map(str::to_owned),
        rewrite_policies: false,
    }
}

/// All steps to the end, each done as it should be.
fn steps(mut facts: Facts, means: &RunContext) -> (Vec<&'static str>, ProvisionResult) {
    let mut names = Vec::new();
    for _ in 0..20 {
        let step = next(&facts, means);
        names.push(match &step {
            Step::Done(ending) => return (names, ending.clone()),
            Step::Renew => "renew",
            Step::Mint(_) => "mint",
            Step::Prove => "prove",
            Step::RewritePolicy => "rewrite",
            Step::Enroll => "enroll",
            Step::Unenroll => "unenroll",
            Step::Revoke => "revoke",
        });
        facts = facts.simulate(&step, NOW);
        assert!(facts.show(&step), "{step:?}");
    }
    panic!("it does not end: {names:?}");
}

fn refused() -> StoreError {
    StoreError::Refused { reason: "no".into(), remedy: "mend it".into() }
}

#[test]
fn what_is_done_for_whom() {
    let (with, without) = (means(None), means(Some("no admin")));
    let new = newcomer();
    let held = |change: fn(&mut TokenInfo)| {
        let mut standing = sound();
        change(&mut standing);
        TokenState::Present(standing)
    };
    let gone = Facts { wanted: Desired::Removed { doubt: None }, ..settled() };
    let off = Facts { wanted: Desired::Disabled("parked"), ..settled() };
    for (what, facts, means, expected) in [
        ("nothing for who is settled", settled(), &with, &[][..]),
        ("nothing without an admin either", settled(), &without, &[]),
        ("all for a newcomer", new.clone(), &with, &["mint", "prove", "enroll"]),
        (
            "a token that ends soon is renewed by itself",
            Facts { token: held(|standing| standing.expires_at_ms = Some(NOW + DAY_MS)), ..settled() },
            &without,
            &["renew"],
        ),
        (
            "or replaced",
            Facts {
                token: held(|standing| {
                    (standing.expires_at_ms, standing.is_renewable) = (Some(NOW + DAY_MS), false)
                }),
                ..settled()
            },
            &with,
            &["mint", "prove", "revoke"],
        ),
        (
            "somebody else's is replaced",
            Facts { token: held(|standing| standing.foreign = Some("bob".into())), ..settled() },
            &with,
            &["mint", "prove", "revoke"],
        ),
        (
            "one that is no orphan too",
            Facts { token: held(|standing| standing.is_orphan = false), ..settled() },
            &with,
            &["mint", "prove", "revoke"],
        ),
        (
            "one that never ends is left alone",
            Facts { token: held(|standing| standing.expires_at_ms = None), ..settled() },
            &with,
            &[],
        ),
        (
            "an old proof is made again",
            Facts { proof: PolicyCheck::Pending, ..settled() },
            &without,
            &["prove"],
        ),
        (
            "without a server enrollment is all",
            Facts { former: Vec::new(), token: TokenState::NotRequired, is_enrolled: false, ..settled() },
            &without,
            &["enroll"],
        ),
        ("parked", off.clone(), &without, &["unenroll"]),
        ("parked already", Facts { is_enrolled: false, ..off }, &without, &[]),
        ("gone", gone.clone(), &with, &["unenroll", "revoke"]),
        ("gone before there was a token", Facts { former: Vec::new(), ..gone }, &without, &["unenroll"]),
    ] {
        assert_eq!(steps(facts, means), (expected.to_vec(), ProvisionResult::Ok), "{what}");
    }
}

#[test]
fn what_waits_for_an_admin_or_is_left_out() {
    let without = means(Some("no admin"));
    let new = newcomer();
    let waits = |facts: Facts| match steps(facts, &without) {
        (steps, ProvisionResult::NeedsAdmin(what)) => (steps, what),
        other => panic!("{other:?}"),
    };
    assert_eq!(waits(new.clone()), (vec![], "none; no admin".into()), "nobody is enrolled without a token");
    let gone = Facts { wanted: Desired::Removed { doubt: None }, ..settled() };
    assert_eq!(waits(gone.clone()), (vec!["unenroll"], "their token is to be revoked; no admin".into()));
    assert!(waits(Facts { proof: PolicyCheck::TooNarrow, ..settled() }).1.contains("--rewrite-policies"));
    let passing = TokenState::Present(TokenInfo { is_orphan: false, ..sound() });
    assert!(waits(Facts { token: passing, ..settled() }).1.contains("ends together with"));

    let skipped = |facts: Facts| match steps(facts, &means(None)) {
        (steps, ProvisionResult::Skipped(why)) if steps.is_empty() => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(skipped(Facts { unservable: Some("no account".into()), ..new.clone() }), "no account");
    assert_eq!(skipped(Facts { token: TokenState::HomeUnusable("a FIFO".into()), ..new.clone() }), "a FIFO");
    let doubted = Facts { wanted: Desired::Removed { doubt: Some("half written".into()) }, ..gone };
    assert_eq!(steps(doubted, &means(None)), (vec![], ProvisionResult::RemovalVetoed("half written".into())));

    let failed = |facts: Facts| steps(facts, &means(None));
    assert_eq!(
        failed(Facts { token: TokenState::Unknown(refused()), ..new.clone() }),
        (vec![], ProvisionResult::Failed(refused()))
    );
    assert_eq!(
        failed(Facts { minting: Attempt::Failed(refused()), ..new }),
        (vec![], ProvisionResult::Failed(refused()))
    );
}

#[test]
fn a_policy_is_replaced_only_when_that_is_asked_for_and_once() {
    let wide = Facts { proof: PolicyCheck::TooBroad(vec!["list".into()]), is_enrolled: false, ..settled() };
    assert_eq!(
        steps(wide.clone(), &means(None)),
        (vec!["enroll"], ProvisionResult::PolicyTooBroad(vec!["list".into()]))
    );
    let rewriting = RunContext { rewrite_policies: true, ..means(None) };
    assert_eq!(steps(wide.clone(), &rewriting), (vec!["rewrite", "prove", "enroll"], ProvisionResult::Ok));
    let in_vain = Facts { policy: Attempt::Done, ..wide.clone() };
    assert_eq!(
        steps(in_vain, &rewriting),
        (vec!["enroll"], ProvisionResult::PolicyTooBroad(vec!["list".into()]))
    );
    let refused_to = Facts { policy: Attempt::Failed(refused()), ..wide };
    assert_eq!(steps(refused_to, &rewriting).1, ProvisionResult::Failed(refused()));
}

#[test]
fn whatever_fails_is_told() {
    let passing = TokenInfo { expires_at_ms: Some(NOW), is_renewable: false, ..sound() };
    for standing in [sound(), passing.clone(), TokenInfo { foreign: Some("x".into()), ..sound() }] {
        let facts =
            Facts { token: TokenState::Present(standing), minting: Attempt::Failed(refused()), ..settled() };
        assert_eq!(steps(facts, &means(None)), (vec![], ProvisionResult::Failed(refused())), "no new token");
    }
    let not_revoked =
        Facts { former: vec!["a".into(), "b".into()], revocation: Attempt::Failed(refused()), ..settled() };
    assert_eq!(steps(not_revoked.clone(), &means(None)), (vec![], ProvisionResult::Failed(refused())));
    let to_be = Facts { revocation: Attempt::NotTried, ..not_revoked };
    assert_eq!(steps(to_be.clone(), &means(None)), (vec!["revoke"], ProvisionResult::Ok));
    assert_eq!(to_be.to_revoke(), ["b"], "not the one that serves");
    let ProvisionResult::NeedsAdmin(what) = steps(to_be, &means(Some("no admin"))).1 else {
        panic!("it waits")
    };
    assert_eq!(what, "an earlier token of theirs is to be revoked; no admin");

    // What serves until an admin comes is put to use.
    let new = Facts {
        is_enrolled: false,
        token: TokenState::Present(passing),
        proof: PolicyCheck::Pending,
        ..settled()
    };
    let (taken, ending) = steps(new, &means(Some("no admin")));
    assert_eq!(taken, ["prove", "enroll"]);
    assert!(matches!(ending, ProvisionResult::NeedsAdmin(what) if what.contains("ends within a week")));
}

#[test]
fn one_run_makes_one_token_for_somebody_at_most() {
    let foreign = TokenState::Present(TokenInfo { foreign: Some("x".into()), ..sound() });
    let passing = TokenState::Present(TokenInfo { expires_at_ms: Some(NOW), is_renewable: false, ..sound() });
    for token in
        [foreign, passing, TokenState::Absent("gone".into()), TokenState::HomeUnusable("full".into())]
    {
        let facts = Facts { token, minting: Attempt::Done, ..settled() };
        assert!(!steps(facts, &means(None)).0.contains(&"mint"));
    }
}

#[test]
fn a_new_token_that_is_of_no_use_is_told_and_replaces_nothing() {
    let useless = Facts {
        token: TokenState::Absent("it may not look itself up".into()),
        minting: Attempt::Done,
        former: vec!["a".into(), "new".into()],
        ..settled()
    };
    let ProvisionResult::NeedsAdmin(what) = steps(useless.clone(), &means(None)).1 else {
        panic!("it waits")
    };
    assert!(what.contains("--rewrite-policies"), "{what}");
    let rewriting = RunContext { rewrite_policies: true, ..means(None) };
    let (taken, ending) = steps(useless, &rewriting);
    assert_eq!(taken, ["rewrite"], "no token is revoked before another is shown to serve");
    assert!(
        matches!(ending, ProvisionResult::NeedsAdmin(what) if what.contains("although its policy was replaced"))
    );
}
