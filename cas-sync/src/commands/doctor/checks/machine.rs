//! What all people of a machine share: the module in the session stack, the target, the roster, the requests, the clock.

use super::super::check::{Check, CheckResult, Finding, Remedy, as_root};
use super::super::facts::{Clock, MachineFacts, Requests, Roster, SyncTarget};
use crate::systemd::NO_REPLY;

pub(super) const CHECKS: [Check<MachineFacts>; 10] = [
    Check { id: "pam-module-missing", looks_at: "is the PAM module there", judge: module },
    Check { id: "pam-line-missing", looks_at: "is the module in the session stack", judge: line },
    Check { id: "pam-line-edited", looks_at: "does its line stand where and as it should", judge: edited },
    Check { id: "systemd-silent", looks_at: "does systemd answer", judge: silent },
    Check { id: "target-masked", looks_at: "is everybody's target masked", judge: masked },
    Check { id: "target-stopped", looks_at: "does everybody's target run", judge: stopped },
    Check { id: "roster-unreadable", looks_at: "can the roster be used", judge: roster },
    Check {
        id: "requests-unmounted",
        looks_at: "do requests have a file system of their own",
        judge: unmounted,
    },
    Check { id: "requests-full", looks_at: "is there room for requests", judge: full },
    Check { id: "clock-unset", looks_at: "does something set this machine's clock", judge: clock },
];

pub(in crate::commands::doctor) const MODULE: &str = "pam_cas_session.so";
const LOGIND: &str = "pam_systemd.so";
const TARGET: &str = "claude-auth-sync.target";
const MOUNT: &str = r"run-claude\x2dauth\x2dsync.mount";

/// pam-auth-update leaves a file alone that somebody has edited. With `--force` it would give up all that they wrote there, in
/// the stack that decides who gets in: so that is never what is printed.
const ENABLE: &str = "pam-auth-update --enable claude-auth-sync";

const BY_HAND: &str = "by hand, once: a line `session optional pam_cas_session.so` in /etc/pam.d/common-session, below the one with \
     pam_systemd.so; pam-auth-update leaves alone what was edited, and --force would give up all such edits";

fn module(facts: &MachineFacts) -> CheckResult {
    CheckResult::of((!facts.pam.has_module).then(|| {
        let cause = "the module is not where PAM looks for it: nothing happens at a login";
        Finding::problem(cause, Remedy::Text("install the package again, from the file it came from: apt install --reinstall ./claude-auth-sync_*.deb".into()))
    }))
}

fn at_stack(facts: &MachineFacts, judge: impl Fn(&[String]) -> CheckResult) -> CheckResult {
    match &facts.pam.session {
        Some(lines) => judge(lines),
        None => CheckResult::Unknown("/etc/pam.d/common-session cannot be read".into()),
    }
}

fn line(facts: &MachineFacts) -> CheckResult {
    at_stack(facts, |lines| {
        CheckResult::of((!lines.iter().any(|line| line.contains(MODULE))).then(|| {
            let cause = "/etc/pam.d/common-session has no line for the module: nothing happens at a login";
            let remedy = match facts.pam.is_chosen {
                true => Remedy::Text(BY_HAND.into()),
                false => Remedy::Root(ENABLE.into()),
            };
            Finding::problem(cause, remedy)
        }))
    })
}

fn edited(facts: &MachineFacts) -> CheckResult {
    at_stack(facts, |lines| {
        let ours: Vec<usize> = places(lines, MODULE);
        let Some((first, more)) = ours.split_first() else {
            return CheckResult::NotApplicable("there is no such line".into());
        };
        let is_optional = lines.get(*first).is_some_and(|line| {
            let mut words = line.split_whitespace();
            words.next().is_some_and(|kind| kind.trim_start_matches('-') == "session")
                && words.next() == Some("optional")
        });
        let comes_before_logind = places(lines, LOGIND).first().is_some_and(|logind| first < logind);
        let why = match () {
            () if !is_optional => "the module's line is not `session optional`: a login may fail over it",
            () if comes_before_logind => {
                "the module's line stands before the one with pam_systemd.so, whose session it needs"
            }
            () if !more.is_empty() => "the module has more than one line",
            () => return CheckResult::Ok,
        };
        CheckResult::of([Finding::problem(
            format!("/etc/pam.d/common-session: {why}"),
            Remedy::Text(BY_HAND.into()),
        )])
    })
}

fn places(lines: &[String], module: &str) -> Vec<usize> {
    lines.iter().enumerate().filter(|(_, line)| line.contains(module)).map(|(place, _)| place).collect()
}

fn silent(facts: &MachineFacts) -> CheckResult {
    match facts.target {
        SyncTarget::NoSystemd => CheckResult::NotApplicable("systemd does not run here".into()),
        SyncTarget::Silent => CheckResult::of([Finding::problem(
            format!("{NO_REPLY}: what runs by itself, and whether it does, is not known"),
            Remedy::Text(
                "an admin looks at the console, and at the processes systemd (1) and dbus-daemon: one of them hangs"
                    .into(),
            ),
        )]),
        SyncTarget::Masked | SyncTarget::Stopped | SyncTarget::Runs => CheckResult::Ok,
    }
}

fn masked(facts: &MachineFacts) -> CheckResult {
    match facts.target {
        SyncTarget::NoSystemd => CheckResult::NotApplicable("systemd does not run here".into()),
        SyncTarget::Masked => CheckResult::of([Finding::problem(
            format!("{TARGET} is masked: nothing runs for anybody by itself"),
            Remedy::Root(format!("systemctl unmask {TARGET} && systemctl enable --now {TARGET}")),
        )]),
        SyncTarget::Stopped | SyncTarget::Runs | SyncTarget::Silent => CheckResult::Ok,
    }
}

fn stopped(facts: &MachineFacts) -> CheckResult {
    match facts.target {
        SyncTarget::NoSystemd => CheckResult::NotApplicable("systemd does not run here".into()),
        SyncTarget::Stopped if facts.is_anybody_enrolled => CheckResult::of([Finding::problem(
            format!("{TARGET} does not run: nothing runs for anybody by itself"),
            as_root(&["systemctl", "start", TARGET]),
        )]),
        SyncTarget::Silent => CheckResult::Unknown(NO_REPLY.into()),
        _ => CheckResult::Ok,
    }
}

fn roster(facts: &MachineFacts) -> CheckResult {
    match &facts.roster {
        Roster::None => CheckResult::NotApplicable("there is no roster".into()),
        Roster::Unknown(why) => CheckResult::Unknown(why.clone()),
        Roster::Fine => CheckResult::Ok,
        Roster::Unreadable(why) => CheckResult::of([Finding::problem(
            format!("nobody is provisioned, and nobody let go: {why}"),
            Remedy::Root(format!("editor {}", crate::roster::DEFAULT_PATH)),
        )]),
    }
}

/// The mount hides what people's logins have there: that is made again.
fn unmounted(facts: &MachineFacts) -> CheckResult {
    match &facts.requests {
        Requests::NotMounted | Requests::Missing if facts.is_anybody_enrolled => {
            let remedy = format!(
                "systemctl start '{MOUNT}' && systemd-tmpfiles --create --prefix=/run/claude-auth-sync"
            );
            CheckResult::of([Finding::warning(
                "/run/claude-auth-sync is no mount of its own: people can fill /run with their requests",
                Remedy::Root(remedy),
            )])
        }
        _ => CheckResult::Ok,
    }
}

fn full(facts: &MachineFacts) -> CheckResult {
    match &facts.requests {
        Requests::Full(whose) => {
            let remedy = whose.as_deref().map(|user| {
                let [off, on] = ["unenroll", "enroll"]
                    .map(|verb| super::super::check::command(&["cas-sync", verb, user]));
                match (off, on) {
                    (Ok(off), Ok(on)) => Remedy::Root(format!("{off} && {on}")),
                    (Err(why), _) | (_, Err(why)) => Remedy::Text(why),
                }
            });
            let remedy =
                remedy.unwrap_or_else(|| Remedy::Text("see whose folder below it is full, as root".into()));
            let who = whose
                .as_ref()
                .map(|user| format!(", most of it in the folder of {user}"))
                .unwrap_or_default();
            CheckResult::of([Finding::problem(
                format!("/run/claude-auth-sync is full{who}: newcomers get no folder"),
                remedy,
            )])
        }
        _ => CheckResult::Ok,
    }
}

fn clock(facts: &MachineFacts) -> CheckResult {
    match &facts.clock {
        Clock::Synchronized => CheckResult::Ok,
        Clock::Unknown(why) => CheckResult::Unknown(why.clone()),
        Clock::Unsynchronized => CheckResult::of([Finding::warning(
            "nothing is known to set this machine's clock; whether it is right cannot be told from here",
            Remedy::Root("timedatectl set-ntp true".into()),
        )]),
    }
}
