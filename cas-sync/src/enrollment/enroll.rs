//! `cas-sync enroll`: enrolls a user on this machine. The PAM module checks for the marker.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail, ensure};
use cas_core::fs::atomic_file::write_atomic_with_mode;
use cas_core::fs::directories::{create_root_directory, list_names};
use cas_core::outcome::ExitStatus;
use cas_core::system::account::AccountEntry;
use cas_core::system::identity::Identities;
use cas_protocol::paths::STATE_DIR;
use cas_protocol::paths::{self, ENROLLED_DIR};
use nix::unistd::Uid;

use crate::published_state::PUBLISHED_DIR;
use crate::published_state::accounts::Accounts;
use crate::systemd;
use crate::term::print_line;
use crate::term::stderr::{exit_with_error, print_stderr};

/// The first user id of a regular account (`UID_MIN` of login.defs(5) on Debian).
const FIRST_USER_ID: u32 = 1000;
/// The user id of the overflow account, which is not a user (Debian Policy 9.2.2).
const OVERFLOW_UID: u32 = 65534;

/// Enrolls a user and prints the result.
pub(crate) fn enroll(user: &str, watch: bool) -> ExitCode {
    match enroll_user(user, watch) {
        Ok(enrolled) => print_result(&describe(&enrolled, watch), &enrolled.remarks),
        Err(error) => exit_with_error(&error, ExitStatus::Failure),
    }
}

/// Returns the first line of the output.
fn describe(enrolled: &Enrolled, watch: bool) -> String {
    let name = &enrolled.name;
    match enrolled {
        Enrolled { changed: false, .. } => format!("{name} was enrolled already; nothing was changed."),
        Enrolled { has_running_units: false, .. } => {
            format!("{name} is enrolled, but no unit runs for it:")
        }
        _ if watch => format!(
            "{name} is enrolled: the login is repaired at each login of the user and by the watcher, and synced every six hours."
        ),
        _ => format!(
            "{name} is enrolled without the watcher: the login is repaired at each login of the user, and synced every six hours."
        ),
    }
}

struct Enrolled {
    /// The name in the user database, whatever spelling was given.
    name: String,
    changed: bool,
    has_running_units: bool,
    /// Messages for the administrator.
    remarks: Vec<String>,
}

fn enroll_user(user: &str, watch: bool) -> Result<Enrolled> {
    require_root("enroll")?;
    let account = AccountEntry::from_name(user)?;
    // The spelling of the user database; its lookup may ignore case.
    let user = account.name.as_str();
    let changed = prepare(&account)?;
    let started = systemd::start(&[user], watch)?;
    let remarks = started.remarks.into_iter().chain(read_only_home(&account));
    Ok(Enrolled {
        name: user.to_owned(),
        changed: started.changed || changed,
        has_running_units: started.has_running_units,
        remarks: remarks.collect(),
    })
}

/// Creates the missing parts of an enrollment. The watcher stays enabled or disabled.
///
/// # Errors
/// As for [`prepare`], and if systemctl fails.
pub(crate) fn repair_enrollment(user: &str) -> Result<()> {
    enroll_user(user, systemd::is_watch_enabled(user)).map(drop)
}

/// Creates the directories and the marker of an enrollment, but not the units. Returns true if
/// anything was missing.
///
/// # Errors
/// If the account is not a regular user, shares its uid, or a file cannot be created.
pub(crate) fn prepare(account: &AccountEntry) -> Result<bool> {
    let user = account.name.as_str();
    ensure!(
        is_regular_user(account),
        "cannot enroll {user}: user id {} is not that of a regular account ({FIRST_USER_ID} or above, not {OVERFLOW_UID})",
        account.uid
    );
    let identities = Identities::open();
    identities.check(account)?;
    let others = other_names(account);
    ensure!(
        others.is_empty(),
        "cannot enroll {user}: its user id {} also belongs to {}, and each could use the credentials of the other; give each name a user id of its own",
        account.uid,
        others.join(", ")
    );
    let changed = [
        create_root_directory(Path::new(STATE_DIR))?,
        create_root_directory(Path::new(ENROLLED_DIR))?,
        bind(&identities, account)?,
        create_root_directory(&Path::new(STATE_DIR).join(PUBLISHED_DIR))?,
        write_root_file(&marker_path(user), "")?,
        make_latest(Path::new(ENROLLED_DIR), &identities, user, account.uid.as_raw())?,
    ];
    Ok(changed.contains(&true))
}

/// Makes the marker of `user` the newest of those whose names are bound to this uid, because a
/// request of the uid starts the service of the newest. An account that was renamed has several,
/// and can get an earlier name again. Returns true if the marker was changed.
///
/// # Errors
/// If the markers cannot be read or the time cannot be set.
fn make_latest(markers: &Path, identities: &Identities, user: &str, uid: u32) -> Result<bool> {
    let context = || format!("cannot renew {}", markers.join(user).display());
    let Some(latest) = latest_of_other_names(markers, identities, user, uid).with_context(context)? else {
        return Ok(false);
    };
    let marker = File::open(markers.join(user)).with_context(context)?;
    if marker.metadata().and_then(|found| found.modified()).with_context(context)? > latest {
        return Ok(false);
    }
    // Not the time of the clock, which may have been set back since.
    marker.set_modified(latest + Duration::from_secs(1)).with_context(context)?;
    Ok(true)
}

/// Returns the time of the newest marker of another name that is bound to this uid.
fn latest_of_other_names(
    markers: &Path,
    identities: &Identities,
    user: &str,
    uid: u32,
) -> io::Result<Option<SystemTime>> {
    let mut latest = None;
    for name in list_names(markers)?.unwrap_or_default() {
        let Some(name) = name.to_str().filter(|name| *name != user) else { continue };
        if identities.bound_uid(name).ok().flatten() == Some(uid) {
            latest = latest.max(Some(markers.join(name).symlink_metadata()?.modified()?));
        }
    }
    Ok(latest)
}

/// Returns the other names of accounts with the same uid. These are all such names in
/// `/etc/passwd`, and the first name that the user database returns for the uid.
fn other_names(account: &AccountEntry) -> Vec<String> {
    let (name, uid) = (account.name.as_str(), account.uid);
    let mut others = Accounts::look_up(&[name.to_owned()]).others_with(name, uid.as_raw());
    let first = AccountEntry::from_uid(uid).map(|first| first.name).ok();
    others.extend(first.filter(|first| first != name));
    others.sort();
    others.dedup();
    others
}

/// Binds the name of the account to its uid until the product is purged. Returns true if the
/// binding was missing or different.
///
/// # Errors
/// If the record cannot be written.
pub(crate) fn bind(identities: &Identities, account: &AccountEntry) -> Result<bool> {
    let path = identities.path(&account.name);
    let directory = path.parent().context("a file is in a directory")?;
    let made = create_root_directory(directory)?;
    Ok(write_root_file(&path, &format!("{}\n", account.uid))? || made)
}

/// Binds the names that version 0.1.0 enrolled. The postinst of the package runs this.
pub(crate) fn bind_identities() -> ExitCode {
    let bound = match Uid::effective().is_root() {
        true => bind_version_0_1_0_enrollments(),
        false => Err(anyhow!("only root can bind login names; run it with sudo")),
    };
    bound.map_or_else(|error| exit_with_error(&error, ExitStatus::Failure), |()| ExitCode::SUCCESS)
}

/// Binds each name that version 0.1.0 enrolled to the uid for which it was enrolled. Prints the
/// enrolled users whose account is missing or has another uid.
///
/// # Errors
/// If a record cannot be written or the markers cannot be read.
fn bind_version_0_1_0_enrollments() -> Result<()> {
    let identities = Identities::open();
    let names = list_names(Path::new(ENROLLED_DIR)).with_context(|| format!("cannot read {ENROLLED_DIR}"))?;
    let names = names.unwrap_or_default().into_iter();
    let names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
    // This has a time limit: a directory service that does not answer leaves its accounts unknown.
    let accounts = Accounts::look_up(&names);
    for name in names.iter().filter(|name| paths::is_valid_user_name(name.as_bytes())) {
        let bound = match identities.bound_uid(name) {
            Ok(bound) => bound,
            Err(error) => {
                print_stderr(&error.to_string());
                continue;
            }
        };
        if let Some(missing) = accounts.missing(name, bound) {
            print_stderr(&format!("{name} is enrolled, but {}", missing.describe(name)));
        }
        let path = identities.path(name);
        if path.symlink_metadata().is_ok() {
            continue;
        }
        // Without a directory of published state, the present account counts as the enrolled one.
        if let Some(uid) = bound.or_else(|| accounts.uid(name)) {
            create_root_directory(path.parent().context("a file is in a directory")?)?;
            write_root_file(&path, &format!("{uid}\n"))?;
        }
    }
    Ok(())
}

/// Returns true if the uid is that of a regular account.
pub(crate) fn is_regular_user(account: &AccountEntry) -> bool {
    account.uid.as_raw() >= FIRST_USER_ID && account.uid.as_raw() != OVERFLOW_UID
}

/// Returns true if the user is enrolled completely.
pub(crate) fn is_enrolled(user: &str) -> bool {
    paths::is_enrolled(user) && systemd::are_enabled(user)
}

/// Returns true if the user has a marker or an enabled unit.
pub(crate) fn has_enrollment_artifacts(user: &str) -> bool {
    marker_path(user).symlink_metadata().is_ok() || systemd::is_any_enabled(user)
}

/// Creates the directory of all enrollments.
pub(crate) fn create_state_directory() -> Result<()> {
    create_root_directory(Path::new(STATE_DIR)).map(drop)?;
    Ok(())
}

/// Returns a message if `ProtectSystem=full` of the units makes the home read-only.
pub(crate) fn read_only_home(account: &AccountEntry) -> Option<String> {
    let is_read_only =
        ["/usr", "/boot", "/efi", "/etc"].iter().any(|folder| account.home.starts_with(folder));
    is_read_only.then(|| {
        let home = &account.home;
        format!("the sync cannot write to {home}; run `systemctl edit claude-auth-sync@.service`, and add `ReadWritePaths={home}` below `[Service]`")
    })
}

/// # Errors
/// If the caller is not root.
pub(crate) fn require_root(command: &str) -> Result<()> {
    if !Uid::effective().is_root() {
        bail!("only root can {command} a user; run it with sudo");
    }
    Ok(())
}

pub(crate) fn marker_path(user: &str) -> PathBuf {
    Path::new(ENROLLED_DIR).join(user)
}

/// Writes a file of root with mode 0644, unless it is unchanged. Other users must be able to read a
/// marker, and it is not trusted if they can write it. Returns true if it was written.
fn write_root_file(path: &Path, content: &str) -> Result<bool> {
    // A symlink is replaced, like a file with another owner.
    if path.is_symlink() {
        fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(write_atomic_with_mode(path, content.as_bytes(), 0o644)?)
}

fn print_result(text: &str, remarks: &[String]) -> ExitCode {
    print_line(text);
    for remark in remarks {
        print_line(&format!("{remark}."));
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_is_enrolled_again_has_the_newest_marker() {
        let state = tempfile::tempdir().expect("a scratch directory");
        let (markers, identities) = (state.path().join("enrolled"), Identities::in_directory(state.path()));
        for directory in ["enrolled", "identities"] {
            fs::create_dir(state.path().join(directory)).expect("a directory");
        }
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        // The last one is of a time when the clock was wrong.
        let years = Duration::from_secs(20 * 365 * 86_400);
        let enrolled = [
            ("alice", 1000, Duration::ZERO),
            ("alicia", 1000, Duration::from_secs(9)),
            ("bob", 1001, years),
            ("ada", 1002, Duration::ZERO),
            ("adele", 1002, years),
        ];
        for (name, uid, age) in enrolled {
            let marker = File::create(markers.join(name)).expect("a marker");
            marker.set_modified(start + age).expect("a time");
            fs::write(identities.path(name), format!("{uid}\n")).expect("a binding");
        }
        let time =
            |name: &str| fs::metadata(markers.join(name)).and_then(|found| found.modified()).expect("a time");
        let renew = |name, uid| make_latest(&markers, &identities, name, uid).expect("it is written");
        assert!(!renew("alicia", 1000) && !renew("bob", 1001), "they are the newest already");
        assert!(renew("alice", 1000) && time("alice") > time("alicia"));
        assert!(!renew("alice", 1000), "once is enough");
        assert!(renew("ada", 1002) && time("ada") > time("adele"));
        assert_eq!((time("alicia"), time("bob")), (start + Duration::from_secs(9), start + years));
    }
}
