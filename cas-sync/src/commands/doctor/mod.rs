//! `cas-sync doctor` reports each known cause of a problem with its remedy. [`gather`] reads the
//! facts, pure [`checks`] evaluate them, and [`render`] prints the most severe finding first.
//! Nothing is changed without `--fix`.

mod check;
mod checks;
mod facts;
mod fix;
mod fix_as_user;
mod gather;
mod render;
#[cfg(test)]
mod render_tests;
mod target;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use cas_core::outcome::ExitStatus;
use cas_core::system::account::Account;
use cas_core::system::privileges::harden_process;
use nix::unistd::Uid;

use self::check::{Fix, Row};
use self::facts::SyncTarget;
use self::fix::FixResult;
use self::render::DoctorReport;
use self::target::Target;
use crate::cli::Doctor;
use crate::enrollment::enrolled_users;
use crate::os::parallel;
use crate::term::print_line;
use crate::term::stderr::exit_with_error;
use crate::term::{Terminal, json};
use crate::user::identity::CallingUser;

pub(crate) use self::target::run_internal;

/// The checks of one user or of the machine.
struct Inspection {
    /// `None` for the machine.
    user: Option<String>,
    /// The result of each check, or why the user could not be inspected.
    rows: Result<Vec<Row>, String>,
}

/// Checks the caller's login and the machine. As root, checks the machine and the named or all
/// enrolled users.
pub(crate) fn run(request: &Doctor) -> ExitCode {
    match inspect_and_fix(request) {
        Ok((inspections, fixes)) => {
            let report = DoctorReport {
                inspections: &inspections,
                fixes: &fixes,
                as_root: Uid::effective().is_root(),
            };
            match request.json {
                true => json::print(&render::render_json(&report)),
                false => {
                    let text = render::render_text(&report, request.verbose, Terminal::for_stdout());
                    print_line(text.strip_suffix('\n').unwrap_or(&text));
                }
            }
            render::exit_status(&inspections).into()
        }
        Err(error) => exit_with_error(&error, ExitStatus::Failure),
    }
}

fn inspect_and_fix(request: &Doctor) -> Result<(Vec<Inspection>, Vec<FixResult>)> {
    harden_process()?;
    let targets = find_targets(&request.user)?;
    let before = inspect_all(&targets);
    if !request.fix {
        return Ok((before, Vec::new()));
    }
    let fixes: Vec<_> = before.iter().flat_map(fix::available_fixes).collect();
    // A fix is printed before it is applied, so that the user can interrupt it.
    let announce = |fix: &Fix| {
        if !request.json {
            let action = Terminal::for_stdout().sanitize(&fix.describe());
            let what = if request.dry_run { "Would" } else { "Going to" };
            print_line(&format!("{what} {action}."));
        }
    };
    let results: Vec<_> = match request.dry_run {
        true => {
            fixes.into_iter().map(|(user, fix)| (announce(&fix), FixResult::dry_run(user, &fix)).1).collect()
        }
        false => fix::apply_all(fixes, &targets, announce),
    };
    let after = if request.dry_run || results.is_empty() { before } else { inspect_all(&targets) };
    Ok((after, results))
}

/// Inspects the targets, then the machine.
fn inspect_all(targets: &[Target]) -> Vec<Inspection> {
    let machine = gather::machine();
    let systemd_answers = machine.target != SyncTarget::NoReply;
    let users = parallel::map(targets, |target| Inspection {
        user: Some(target.name().to_owned()),
        rows: target.inspect(systemd_answers),
    });
    let machine = check::diagnose(&checks::machine_checks(), &machine);
    users.into_iter().chain([Inspection { user: None, rows: Ok(machine) }]).collect()
}

fn find_targets(named: &[String]) -> Result<Vec<Target>> {
    if !Uid::effective().is_root() {
        let CallingUser { account, paths, .. } = CallingUser::current()?;
        ensure!(
            named.iter().all(|name| *name == account.name),
            "cannot inspect another user: only root can; run it with sudo"
        );
        return Ok(vec![Target::Current { paths: Box::new(paths), account }]);
    }
    let names = if named.is_empty() { enrolled_users() } else { named.to_vec() };
    names
        .iter()
        .map(|name| {
            let account = Account::from_name(name)?;
            ensure!(!account.uid.is_root(), "cannot inspect {name}: root has no managed login");
            Ok(Target::Other { name: account.name })
        })
        .collect()
}
