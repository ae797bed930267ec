//! The user's enrollment and units.

use super::super::check::{Check, CheckResult, Finding, Fix, Remedy, as_root, command, move_aside_command};
use super::super::facts::{UnitFacts, UserFacts};

pub(super) const CHECKS: [Check<UserFacts>; 5] = [
    Check::new("not-enrolled", "the user is enrolled", enrolled),
    Check::new("units-overridden", "the packaged units are used", overridden),
    Check::new("units-disabled", "the timer is enabled", disabled),
    Check::new("units-inactive", "timer and watcher run", inactive),
    Check::new("sync-failed", "the last sync did not fail as a unit", failed),
];

fn enroll(facts: &UserFacts) -> Remedy {
    as_root(&["cas-sync", "enroll", &facts.user])
}

fn enrolled(facts: &UserFacts) -> CheckResult {
    CheckResult::from_findings(
        (!facts.is_enrolled)
            .then(|| Finding::problem("the user is not enrolled: the login is not synced", enroll(facts))),
    )
}

fn at_units(facts: &UserFacts, evaluate: impl Fn(&UnitFacts) -> CheckResult) -> CheckResult {
    match &facts.units {
        _ if !facts.is_enrolled => CheckResult::NotApplicable("the user is not enrolled".into()),
        UnitFacts::Unknown(why) => CheckResult::Unknown(why.clone()),
        units @ UnitFacts::Known { .. } => evaluate(units),
    }
}

/// Renames the files instead of removing them: they can be the only copies.
fn overridden(facts: &UserFacts) -> CheckResult {
    at_units(facts, |units| match units {
        UnitFacts::Known { overrides, .. } if !overrides.is_empty() => {
            let cause = format!("these files replace packaged units: {}", overrides.join(", "));
            let moved: Result<Vec<String>, String> =
                overrides.iter().map(|path| move_aside_command(path)).collect();
            let rest = command(&["cas-sync", "enroll", &facts.user]);
            let remedy = match (moved, rest) {
                (Ok(moved), Ok(enroll)) => {
                    Remedy::Root(format!("{} && systemctl daemon-reload && {enroll}", moved.join(" && ")))
                }
                (Err(why), _) | (_, Err(why)) => Remedy::Text(why),
            };
            CheckResult::from_findings([Finding::problem(cause, remedy)])
        }
        _ => CheckResult::Ok,
    })
}

fn disabled(facts: &UserFacts) -> CheckResult {
    at_units(facts, |units| match units {
        UnitFacts::Known { overrides, are_enabled: false, .. } if overrides.is_empty() => {
            CheckResult::from_findings([Finding::problem(
                "the user is enrolled, but the units are not enabled",
                enroll(facts),
            )
            .with_fix(Fix::Enroll(facts.user.clone()))])
        }
        _ => CheckResult::Ok,
    })
}

fn inactive(facts: &UserFacts) -> CheckResult {
    at_units(facts, |units| match units {
        UnitFacts::Known { inactive, .. } => {
            CheckResult::from_findings(inactive.iter().map(|(unit, state)| {
                let cause = format!("{unit} is {state}");
                // systemd does not start a unit again that failed too often until its state is
                // reset.
                let start = command(&["systemctl", "start", unit]);
                let remedy = match (start, state.as_str()) {
                    (Ok(start), "failed") => {
                        let reset = command(&["systemctl", "reset-failed", unit]);
                        Remedy::Root(format!("{} && {start}", reset.unwrap_or_default()))
                    }
                    (Ok(start), _) => Remedy::Root(start),
                    (Err(why), _) => Remedy::Text(why),
                };
                Finding::problem(cause, remedy).with_fix(Fix::Start(unit.clone()))
            }))
        }
        UnitFacts::Unknown(_) => CheckResult::Ok,
    })
}

fn failed(facts: &UserFacts) -> CheckResult {
    at_units(facts, |units| match units {
        UnitFacts::Known { failed: Some(unit), .. } => {
            let cause = format!("the last run of {unit} failed; `journalctl -u {unit}` shows the cause");
            CheckResult::from_findings([Finding::warning(cause, as_root(&["systemctl", "start", unit]))])
        }
        _ => CheckResult::Ok,
    })
}
