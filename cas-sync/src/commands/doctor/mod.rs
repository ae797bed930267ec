//! `cas-sync doctor`: every cause of trouble that a machine can recognise, each with its remedy. Facts are gathered at the
//! edge, judged by tables of pure checks, and told worst first. Nothing is changed without `--fix`.

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
use cas_core::system::account::Account;
use cas_core::text::escape_c1_in_json;
use nix::unistd::Uid;

use self::check::{Fix, Row};
use self::facts::SyncTarget;
use self::fix::FixResult;
use self::render::Report;
use self::target::Target;
use crate::cli::Doctor;
use crate::enrollment::enrolled_users;
use crate::os::environment::harden_process;
use crate::term::Terminal;
use crate::term::stderr::exit_with_error;
use crate::user::identity::CallingUser;

pub(crate) use self::target::examine;

/// What was looked at.
struct Inspected {
    /// Whose; nothing for the machine.
    user: Option<String>,
    /// What each check said, or why nobody could look.
    rows: Result<Vec<Row>, String>,
}

/// Looks at the caller's login and the machine; for root, at the machine and whom was named, or everybody who is enrolled.
pub(crate) fn run(request: &Doctor) -> ExitCode {
    match examined(request) {
        Ok((looked, mended)) => {
            let shown = Report { looked: &looked, mended: &mended, as_root: Uid::effective().is_root() };
            match request.json {
                true => println!("{}", escape_c1_in_json(&render::render_json(&shown).to_string())),
                false => {
                    print!("{}", render::render_text(&shown, request.verbose, Terminal::for_stdout()))
                }
            }
            ExitCode::from(render::exit_code(&looked))
        }
        Err(error) => exit_with_error(&error, 1),
    }
}

fn examined(request: &Doctor) -> Result<(Vec<Inspected>, Vec<FixResult>)> {
    harden_process()?;
    let patients = patients(&request.user)?;
    let before = look(&patients);
    if !request.fix {
        return Ok((before, Vec::new()));
    }
    let fixes: Vec<_> = before.iter().flat_map(fix::available_fixes).collect();
    // Said before it is done: whoever reads along can end it.
    let say = |fix: &Fix| {
        if !request.json {
            let does = Terminal::for_stdout().sanitize(&fix.text());
            println!("{}{does}.", if request.dry_run { "Would " } else { "Going to " });
        }
    };
    let mended = match request.dry_run {
        true => fixes.into_iter().map(|(user, fix)| (say(&fix), FixResult::dry_run(user, &fix)).1).collect(),
        false => fix::apply_all(fixes, &patients, say),
    };
    let after = if request.dry_run || mended.is_empty() { before } else { look(&patients) };
    Ok((after, mended))
}

/// The machine comes last: what is wrong with one's own login is nearer.
fn look(patients: &[Target]) -> Vec<Inspected> {
    let machine = gather::machine();
    let systemd_answers = machine.target != SyncTarget::Silent;
    let people = patients.iter().map(|patient| Inspected {
        user: Some(patient.name().to_owned()),
        rows: patient.inspect(systemd_answers),
    });
    let machine = check::diagnose(&checks::of_the_machine(), &machine);
    people.chain([Inspected { user: None, rows: Ok(machine) }]).collect()
}

fn patients(named: &[String]) -> Result<Vec<Target>> {
    if !Uid::effective().is_root() {
        let CallingUser { account, paths, .. } = CallingUser::current()?;
        ensure!(
            named.iter().all(|name| *name == account.name),
            "only root may look at other people's logins; run it with sudo"
        );
        return Ok(vec![Target::Current { paths: Box::new(paths), account }]);
    }
    let names = if named.is_empty() { enrolled_users() } else { named.to_vec() };
    names
        .iter()
        .map(|name| {
            let account = Account::from_name(name)?;
            ensure!(!account.uid.is_root(), "{name} is root, who has no login of their own");
            Ok(Target::Other { name: account.name })
        })
        .collect()
}
