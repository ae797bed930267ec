//! The parts that all users share: PAM module and session stack, target, roster, service for
//! requests, clock.

use super::super::check::{Check, CheckResult, Finding, Remedy, as_root, command};
use super::super::facts::{Clock, MachineFacts, RosterState, SyncTarget};
use crate::systemd::{NO_REPLY, REQUEST_SERVICE};

pub(super) const CHECKS: [Check<MachineFacts>; 10] = [
    Check::new("pam-module-missing", "the PAM module is installed", module),
    Check::new("pam-line-missing", "the session stack has a line for the module", line),
    Check::new("pam-line-edited", "the module's line is in its place and unchanged", edited),
    Check::new("systemd-not-responding", "systemd answers", no_reply),
    Check::new("target-masked", "claude-auth-sync.target is not masked", masked),
    Check::new("target-stopped", "claude-auth-sync.target runs", stopped),
    Check::new("account-missing", "each enrolled user has an account", missing_accounts),
    Check::new("roster-unreadable", "the roster is valid", roster),
    Check::new("request-service-inactive", "the service for requests of logins runs", request_service),
    Check::new("clock-not-synchronized", "a time service sets this machine's clock", clock),
];

pub(in crate::commands::doctor) const MODULE: &str = "pam_cas_session.so";
const LOGIND: &str = "pam_systemd.so";
const TARGET: &str = "claude-auth-sync.target";

/// pam-auth-update does not change an edited file. `--force` would discard all edits of the stack
/// that decides who can log in, so it is never printed.
const ENABLE: &str = "pam-auth-update --enable claude-auth-sync";

const EDIT_STACK: &str = "as root, write the line `session optional pam_cas_session.so` in /etc/pam.d/common-session below the \
     line with pam_systemd.so; pam-auth-update does not change an edited file, and --force would discard the edits";

fn module(facts: &MachineFacts) -> CheckResult {
    CheckResult::from_findings((!facts.pam.has_module).then(|| {
        let cause = "the PAM module is not installed: logins are not synced";
        Finding::problem(
            cause,
            Remedy::Text(
                "install the package file again: apt install --reinstall ./claude-auth-sync_*.deb".into(),
            ),
        )
    }))
}

fn at_stack(facts: &MachineFacts, evaluate: impl Fn(&[String]) -> CheckResult) -> CheckResult {
    match &facts.pam.session {
        Some(lines) => evaluate(lines),
        None => CheckResult::Unknown("cannot read /etc/pam.d/common-session".into()),
    }
}

fn line(facts: &MachineFacts) -> CheckResult {
    at_stack(facts, |lines| {
        CheckResult::from_findings((!lines.iter().any(|line| line.contains(MODULE))).then(|| {
            let cause = "/etc/pam.d/common-session has no line for the module: logins are not synced";
            let remedy = match facts.pam.is_chosen {
                true => Remedy::Text(EDIT_STACK.into()),
                false => Remedy::Root(ENABLE.into()),
            };
            Finding::problem(cause, remedy)
        }))
    })
}

fn edited(facts: &MachineFacts) -> CheckResult {
    at_stack(facts, |lines| {
        let own: Vec<usize> = positions(lines, MODULE);
        let Some((first, more)) = own.split_first() else {
            return CheckResult::NotApplicable("the session stack has no line for the module".into());
        };
        let is_optional = lines.get(*first).is_some_and(|line| {
            let mut words = line.split_whitespace();
            words.next().is_some_and(|kind| kind.trim_start_matches('-') == "session")
                && words.next() == Some("optional")
        });
        let comes_before_logind = positions(lines, LOGIND).first().is_some_and(|logind| first < logind);
        let why = match () {
            () if !is_optional => {
                "the module's line is not `session optional`: an error of the module can block a login"
            }
            () if comes_before_logind => {
                "the module's line is above the line with pam_systemd.so, whose session it needs"
            }
            () if !more.is_empty() => "the module has more than one line",
            () => return CheckResult::Ok,
        };
        CheckResult::from_findings([Finding::problem(
            format!("/etc/pam.d/common-session: {why}"),
            Remedy::Text(EDIT_STACK.into()),
        )])
    })
}

fn positions(lines: &[String], module: &str) -> Vec<usize> {
    lines.iter().enumerate().filter(|(_, line)| line.contains(module)).map(|(position, _)| position).collect()
}

fn missing_accounts(facts: &MachineFacts) -> CheckResult {
    CheckResult::from_findings(facts.missing_accounts.iter().map(|(name, why)| {
        let remedy = command(&["cas-sync", "unenroll", name]);
        Finding::problem(format!("{name}: {why}"), remedy.map_or_else(Remedy::Text, Remedy::Root))
    }))
}

fn no_reply(facts: &MachineFacts) -> CheckResult {
    match facts.target {
        SyncTarget::NoSystemd => CheckResult::NotApplicable("systemd does not run here".into()),
        SyncTarget::NoReply => CheckResult::from_findings([Finding::problem(
            format!("{NO_REPLY}: the state of the units is not known"),
            Remedy::Text(
                "an administrator checks the console and the processes systemd (1) and dbus-daemon: one of them hangs"
                    .into(),
            ),
        )]),
        SyncTarget::Masked | SyncTarget::Stopped | SyncTarget::Runs => CheckResult::Ok,
    }
}

fn masked(facts: &MachineFacts) -> CheckResult {
    match facts.target {
        SyncTarget::NoSystemd => CheckResult::NotApplicable("systemd does not run here".into()),
        SyncTarget::Masked => CheckResult::from_findings([Finding::problem(
            format!("{TARGET} is masked: no user's login is synced in the background"),
            Remedy::Root(format!("systemctl unmask {TARGET} && systemctl enable --now {TARGET}")),
        )]),
        SyncTarget::Stopped | SyncTarget::Runs | SyncTarget::NoReply => CheckResult::Ok,
    }
}

fn stopped(facts: &MachineFacts) -> CheckResult {
    match facts.target {
        SyncTarget::NoSystemd => CheckResult::NotApplicable("systemd does not run here".into()),
        SyncTarget::Stopped if facts.has_enrolled_users => CheckResult::from_findings([Finding::problem(
            format!("{TARGET} does not run: no user's login is synced in the background"),
            as_root(&["systemctl", "start", TARGET]),
        )]),
        SyncTarget::NoReply => CheckResult::Unknown(NO_REPLY.into()),
        _ => CheckResult::Ok,
    }
}

fn roster(facts: &MachineFacts) -> CheckResult {
    match &facts.roster {
        RosterState::None => CheckResult::NotApplicable("there is no roster".into()),
        RosterState::Unknown(why) => CheckResult::Unknown(why.clone()),
        RosterState::Valid => CheckResult::Ok,
        RosterState::Unreadable(why) => CheckResult::from_findings([Finding::problem(
            format!("cannot apply the roster: {why}"),
            Remedy::Root(format!("editor {}", crate::roster::DEFAULT_PATH)),
        )]),
    }
}

fn request_service(facts: &MachineFacts) -> CheckResult {
    match facts.is_request_service_active {
        None => CheckResult::NotApplicable(format!("{TARGET} does not run")),
        Some(true) => CheckResult::Ok,
        Some(false) => CheckResult::from_findings([Finding::problem(
            format!(
                "{REQUEST_SERVICE} is not active: logins cannot request a sync, and syncs start by timer only"
            ),
            as_root(&["systemctl", "start", REQUEST_SERVICE]),
        )]),
    }
}

fn clock(facts: &MachineFacts) -> CheckResult {
    match &facts.clock {
        Clock::Synchronized => CheckResult::Ok,
        Clock::Unknown(why) => CheckResult::Unknown(why.clone()),
        Clock::Unsynchronized => CheckResult::from_findings([Finding::warning(
            "no time service sets this machine's clock, so it may be wrong",
            Remedy::Root("timedatectl set-ntp true".into()),
        )]),
    }
}
