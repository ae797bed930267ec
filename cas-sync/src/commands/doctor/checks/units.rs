//! The person's enrollment, and what runs for them by itself.

use super::super::check::{Check, CheckResult, Finding, Fix, Remedy, as_root, command, move_aside_command};
use super::super::facts::{PersonFacts, Units};

pub(super) const CHECKS: [Check<PersonFacts>; 5] = [
    Check { id: "not-enrolled", looks_at: "does a login look after the person", judge: enrolled },
    Check {
        id: "units-shadowed",
        looks_at: "other units in the place of the packaged ones",
        judge: shadowed,
    },
    Check { id: "units-disabled", looks_at: "are timer and path unit enabled", judge: disabled },
    Check { id: "units-resting", looks_at: "do timer, path unit and watch run", judge: resting },
    Check { id: "sync-failed", looks_at: "did the last sync fail as a unit", judge: failed },
];

fn enroll(facts: &PersonFacts) -> Remedy {
    as_root(&["cas-sync", "enroll", &facts.user])
}

fn enrolled(facts: &PersonFacts) -> CheckResult {
    CheckResult::of((!facts.is_enrolled).then(|| {
        Finding::problem(
            "this machine does not look after this person: nothing happens at their logins",
            enroll(facts),
        )
    }))
}

fn at_units(facts: &PersonFacts, judge: impl Fn(&Units) -> CheckResult) -> CheckResult {
    match &facts.units {
        _ if !facts.is_enrolled => CheckResult::NotApplicable("the person is not enrolled".into()),
        Units::None(why) => CheckResult::Unknown(why.clone()),
        units @ Units::Some { .. } => judge(units),
    }
}

/// Aside, and not away: they may be somebody's only copy.
fn shadowed(facts: &PersonFacts) -> CheckResult {
    at_units(facts, |units| match units {
        Units::Some { stand_ins, .. } if !stand_ins.is_empty() => {
            let cause = format!("systemd runs this instead of what is packaged: {}", stand_ins.join(", "));
            let moved: Result<Vec<String>, String> =
                stand_ins.iter().map(|path| move_aside_command(path)).collect();
            let rest = command(&["cas-sync", "enroll", &facts.user]);
            let remedy = match (moved, rest) {
                (Ok(moved), Ok(enroll)) => {
                    Remedy::Root(format!("{} && systemctl daemon-reload && {enroll}", moved.join(" && ")))
                }
                (Err(why), _) | (_, Err(why)) => Remedy::Text(why),
            };
            CheckResult::of([Finding::problem(cause, remedy)])
        }
        _ => CheckResult::Ok,
    })
}

fn disabled(facts: &PersonFacts) -> CheckResult {
    at_units(facts, |units| match units {
        Units::Some { stand_ins, are_enabled: false, .. } if stand_ins.is_empty() => {
            CheckResult::of([Finding::problem(
                "the person is enrolled, and nothing runs for them by itself",
                enroll(facts),
            )
            .with_fix(Fix::Enroll(facts.user.clone()))])
        }
        _ => CheckResult::Ok,
    })
}

fn resting(facts: &PersonFacts) -> CheckResult {
    at_units(facts, |units| match units {
        Units::Some { resting, .. } => CheckResult::of(resting.iter().map(|(unit, state)| {
            let cause = format!("{unit} is {state}");
            // One that has failed too often is started again only when that is forgotten.
            let start = super::super::check::command(&["systemctl", "start", unit]);
            let remedy = match (start, state.as_str()) {
                (Ok(start), "failed") => {
                    let forget = super::super::check::command(&["systemctl", "reset-failed", unit]);
                    Remedy::Root(format!("{} && {start}", forget.unwrap_or_default()))
                }
                (Ok(start), _) => Remedy::Root(start),
                (Err(why), _) => Remedy::Text(why),
            };
            Finding::problem(cause, remedy).with_fix(Fix::Start(unit.clone()))
        })),
        Units::None(_) => CheckResult::Ok,
    })
}

fn failed(facts: &PersonFacts) -> CheckResult {
    at_units(facts, |units| match units {
        Units::Some { failed: Some(unit), .. } => {
            let cause =
                format!("the last run of {unit} could not do its work; `journalctl -u {unit}` says why");
            CheckResult::of([Finding::warning(cause, as_root(&["systemctl", "start", unit]))])
        }
        _ => CheckResult::Ok,
    })
}
