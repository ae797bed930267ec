//! `cas-sync doctor`: every cause of trouble that a machine can recognise, each with its remedy. Facts are gathered at the
//! edge, judged by tables of pure checks, and told worst first. Nothing is changed without `--fix`.

mod check;
mod checks;
mod facts;
mod fix;
mod gather;
mod render;
#[cfg(test)]
mod render_tests;
mod target;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use cas_core::system::account::Account;
use cas_core::text::unseen_escaped;
use nix::unistd::Uid;

use self::check::{Fix, Row};
use self::facts::Target;
use self::fix::Mended;
use self::render::Shown;
use self::target::Patient;
use crate::cli::Doctor;
use crate::commands::sessions;
use crate::os::environment::keep_secrets_in_memory;
use crate::term::Terminal;
use crate::term::stderr::fail;
use crate::user::identity::Caller;

pub(crate) use self::target::examine;

/// What was looked at.
struct Looked {
    /// Whose; nothing for the machine.
    user: Option<String>,
    /// What each check said, or why nobody could look.
    rows: Result<Vec<Row>, String>,
}

/// Looks at the caller's login and the machine; for root, at the machine and whom was named, or everybody who is enrolled.
pub(crate) fn run(request: &Doctor) -> ExitCode {
    match examined(request) {
        Ok((looked, mended)) => {
            let shown = Shown { looked: &looked, mended: &mended, as_root: Uid::effective().is_root() };
            match request.json {
                true => println!("{}", unseen_escaped(&render::json(&shown).to_string())),
                false => {
                    print!("{}", render::people(&shown, request.verbose, Terminal::of_the_standard_output()))
                }
            }
            ExitCode::from(render::exit_code(&looked))
        }
        Err(error) => fail(&error, 1),
    }
}

fn examined(request: &Doctor) -> Result<(Vec<Looked>, Vec<Mended>)> {
    keep_secrets_in_memory()?;
    let patients = patients(&request.user)?;
    let before = look(&patients);
    if !request.fix {
        return Ok((before, Vec::new()));
    }
    let fixes: Vec<_> = before.iter().flat_map(fix::fixes_of).collect();
    // Said before it is done: whoever reads along can end it.
    let say = |fix: &Fix| {
        if !request.json {
            let does = Terminal::of_the_standard_output().letters(&fix.text());
            println!("{}{does}.", if request.dry_run { "Would " } else { "Going to " });
        }
    };
    let mended = match request.dry_run {
        true => fixes.into_iter().map(|(user, fix)| (say(&fix), Mended::imagined(user, &fix)).1).collect(),
        false => fix::mend_all(fixes, &patients, say),
    };
    let after = if request.dry_run || mended.is_empty() { before } else { look(&patients) };
    Ok((after, mended))
}

/// The machine comes last: what is wrong with one's own login is nearer.
fn look(patients: &[Patient]) -> Vec<Looked> {
    let machine = gather::machine();
    let systemd_answers = machine.target != Target::Silent;
    let people = patients
        .iter()
        .map(|patient| Looked { user: Some(patient.name().to_owned()), rows: patient.look(systemd_answers) });
    let machine = check::diagnose(&checks::of_the_machine(), &machine);
    people.chain([Looked { user: None, rows: Ok(machine) }]).collect()
}

fn patients(named: &[String]) -> Result<Vec<Patient>> {
    if !Uid::effective().is_root() {
        let Caller { account, paths, .. } = Caller::find()?;
        ensure!(
            named.iter().all(|name| *name == account.name),
            "only root may look at other people's logins; run it with sudo"
        );
        return Ok(vec![Patient::Caller { paths: Box::new(paths), account }]);
    }
    let names = if named.is_empty() { sessions::enrolled() } else { named.to_vec() };
    names
        .iter()
        .map(|name| {
            let account = Account::named(name)?;
            ensure!(!account.uid.is_root(), "{name} is root, who has no login of their own");
            Ok(Patient::Other { name: account.name })
        })
        .collect()
}
