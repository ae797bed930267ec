//! `cas-sync enroll`: who is looked after on this machine. The marker is what the PAM module looks for.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use cas_core::system::account::Account;
use cas_protocol::paths::STATE_DIR;
use cas_protocol::paths::{self, ENROLLED_DIR, REQUESTS_DIR, SPARE_REQUEST_FILE};
use nix::unistd::Uid;

use crate::enrollment::requests_directory;
use crate::published_state::{self, USERS_DIR};
use crate::systemd;
use crate::term::stderr::exit_with_error;

/// What makes the requests directories, and the spare requests in them, again after a reboot.
const TMPFILES: &str = "/etc/tmpfiles.d";
/// The first user id of a person (`UID_MIN` of login.defs(5) on Debian).
const FIRST_PERSON: u32 = 1000;
/// The user id of `nobody`, who is none (Debian Policy 9.2.2).
const NOBODY: u32 = 65534;

/// Looks after USER from now on.
pub(crate) fn enroll(user: &str, watch: bool) -> ExitCode {
    match enroll_user(user, watch) {
        Ok(Done { changed: true, remarks }) => say(
            &format!(
                "{user} is enrolled: their Claude login is looked after at their logins, every six hours, and while they work."
            ),
            &remarks,
        ),
        Ok(Done { remarks, .. }) => {
            say(&format!("{user} was enrolled already; nothing had to be changed."), &remarks)
        }
        Err(error) => exit_with_error(&error, 1),
    }
}

struct Done {
    changed: bool,
    /// What the admin should know besides.
    remarks: Vec<String>,
}

fn enroll_user(user: &str, watch: bool) -> Result<Done> {
    require_root("enroll")?;
    let account = Account::from_name(user)?;
    // As the user database spells it, whatever the case it was asked in.
    let user = account.name.as_str();
    let changed = prepare(&account)?;
    let units = systemd::start(&[user], watch)?;
    let remarks = units.remarks.into_iter().chain(read_only_home(&account));
    Ok(Done { changed: units.any || changed, remarks: remarks.collect() })
}

/// Makes an enrollment whole again; whether the watch is wanted stays as it is.
///
/// # Errors
/// As for enrolling.
pub(crate) fn repair_enrollment(user: &str) -> Result<()> {
    enroll_user(user, systemd::is_watch_enabled(user)).map(drop)
}

/// Makes everything that enrols a person but the units: the folders and the marker. True when anything was missing.
///
/// # Errors
/// When the account is no person's, or something cannot be made.
pub(crate) fn prepare(account: &Account) -> Result<bool> {
    let user = account.name.as_str();
    ensure!(
        is_person(account),
        "{user} has user id {}, and only people (from {FIRST_PERSON}) can be enrolled",
        account.uid
    );
    let requests = Path::new(REQUESTS_DIR).join(user);
    // The quotes and the doubled sign keep a blank or a `%` in a name from meaning something to tmpfiles.d(5).
    let quoted = requests.display().to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    let (uid, gid) = (account.uid, account.gid);
    // What lies in the folder by then may be anything of theirs, and fails nothing (`f-`).
    let lines = format!(
        "d \"{quoted}\" 0700 {uid} {gid} -\nf- \"{quoted}/{SPARE_REQUEST_FILE}\" 0600 {uid} {gid} -\n"
    );
    let context = || format!("cannot give {user} the folder in which their syncs publish");
    let changed = [
        create_root_dir(Path::new(STATE_DIR))?,
        create_root_dir(Path::new(ENROLLED_DIR))?,
        create_root_dir(Path::new(REQUESTS_DIR))?,
        create_root_dir(&Path::new(STATE_DIR).join(USERS_DIR))?,
        // Not by StateDirectory= of their service: systemd 257 starts none whose folder has a backslash in its name.
        requests_directory::make_folder(account, &published_state::published_dir(user))
            .with_context(context)?,
        requests_directory::make(account, &requests)?,
        !Path::new(TMPFILES).is_dir() && create_root_dir(Path::new(TMPFILES))?,
        write_if_changed(&tmpfiles_path(user), &lines)?,
        write_if_changed(&marker_path(user), "")?,
    ];
    if shares_its_room_with_the_system(Path::new(REQUESTS_DIR)) {
        eprintln!(
            "cas-sync: {REQUESTS_DIR} is no mount of its own, so {user} can fill /run, which systemd cannot do without: run `systemctl daemon-reload` and `systemctl start local-fs.target`, then enroll again"
        );
    }
    Ok(changed.contains(&true))
}

/// Whether an account is a person's, by its number.
pub(crate) fn is_person(account: &Account) -> bool {
    account.uid.as_raw() >= FIRST_PERSON && account.uid.as_raw() != NOBODY
}

/// Whether somebody is enrolled, with all that makes it so.
pub(crate) fn is_enrolled(user: &str) -> bool {
    paths::is_enrolled(user) && systemd::are_enabled(user)
}

/// Whether there is anything to undo.
pub(crate) fn has_enrollment_artifacts(user: &str) -> bool {
    marker_path(user).symlink_metadata().is_ok() || systemd::is_any_enabled(user)
}

/// Makes what all enrollments need.
pub(crate) fn make_state_directory() -> Result<()> {
    create_root_dir(Path::new(STATE_DIR)).map(|_| ())
}

/// What to do where `ProtectSystem=full` of the units makes the home read-only.
pub(crate) fn read_only_home(account: &Account) -> Option<String> {
    let is_read_only =
        ["/usr", "/boot", "/efi", "/etc"].iter().any(|folder| account.home.starts_with(folder));
    is_read_only.then(|| {
        let home = account.home.display();
        format!("{home} is read-only for the sync: `systemctl edit claude-auth-sync@.service`, and add [Service] with ReadWritePaths={home}")
    })
}

fn shares_its_room_with_the_system(requests: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    device(requests) == requests.parent().and_then(device)
}

/// # Errors
/// For everybody but root.
pub(crate) fn require_root(command: &str) -> Result<()> {
    if !Uid::effective().is_root() {
        bail!("only root may {command} somebody; run it with sudo");
    }
    Ok(())
}

pub(crate) fn marker_path(user: &str) -> PathBuf {
    Path::new(ENROLLED_DIR).join(user)
}

pub(crate) fn tmpfiles_path(user: &str) -> PathBuf {
    Path::new(TMPFILES).join(format!("claude-auth-sync@{user}.conf"))
}

/// Root's, open for all to enter, whatever the umask of a careless caller, and whatever was done to it by hand: a marker
/// that others could move about would be no marker, and a request below a closed directory could not be left.
fn create_root_dir(path: &Path) -> Result<bool> {
    let context = || format!("cannot make {} root's, mode 0755", path.display());
    match fs::metadata(path) {
        Ok(found) if found.is_dir() && found.uid() == 0 && found.mode() & 0o7777 == 0o755 => {
            return Ok(false);
        }
        Ok(found) => {
            ensure!(found.is_dir(), "{} is no directory: remove it, and enroll again", path.display())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            DirBuilder::new().mode(0o755).create(path).with_context(context)?;
        }
        Err(error) => return Err(error).with_context(context),
    }
    chown(path, Some(0), None).with_context(context)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(context)?;
    Ok(true)
}

fn write_if_changed(path: &Path, content: &str) -> Result<bool> {
    let is_right =
        |found: &fs::Metadata| found.is_file() && found.uid() == 0 && found.mode() & 0o777 == 0o644;
    if fs::symlink_metadata(path).is_ok_and(|found| is_right(&found))
        && fs::read_to_string(path).is_ok_and(|found| found == content)
    {
        return Ok(false);
    }
    let context = || format!("cannot write {}", path.display());
    let directory = path.parent().context("a file lies in a directory")?;
    let mut file = tempfile::Builder::new()
        .prefix(".claude-auth-sync.")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(directory)
        .with_context(context)?;
    io::Write::write_all(&mut file, content.as_bytes()).with_context(context)?;
    // The umask of a careless caller must not make the marker look tampered with.
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    file.persist(path).with_context(context)?;
    Ok(true)
}

fn say(what: &str, remarks: &[String]) -> ExitCode {
    println!("{what}");
    for remark in remarks {
        println!("{remark}.");
    }
    ExitCode::SUCCESS
}
