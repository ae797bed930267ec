//! Becoming the user, for good: nothing of a user's is opened before this has succeeded.

use std::ffi::CString;
use std::fmt;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Uid, chdir, getresgid, getresuid, initgroups, setresgid, setresuid, setuid};

use crate::system::account::Account;

/// Takes on groups, group and user of `account`, in this order, and makes sure that there is no way back. A process that
/// is not root can only be itself.
///
/// # Errors
/// [`DropPrivilegesError`] when any of it fails: the process may be half of each, and must open nothing and end.
pub fn become_user(account: &Account) -> Result<(), DropPrivilegesError> {
    if account.uid.is_root() {
        return Err(DropPrivilegesError("nothing is done for root".into()));
    }
    umask(Mode::from_bits_truncate(0o077));
    // Neither a debugger of the same user nor a core dump may see what is read from here on.
    prctl::set_dumpable(false).map_err(cannot("become undumpable"))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(cannot("forbid core dumps"))?;
    raise_resource_limits()?;
    if Uid::effective().is_root() {
        let name = CString::new(account.name.as_str())
            .map_err(|_| DropPrivilegesError("a login name has no NUL in it".into()))?;
        initgroups(&name, account.gid).map_err(cannot("take on the groups"))?;
        setresgid(account.gid, account.gid, account.gid).map_err(cannot("take on the group"))?;
        setresuid(account.uid, account.uid, account.uid).map_err(cannot("take on the user id"))?;
    }
    verify(account)?;
    prctl::set_no_new_privs().map_err(cannot("renounce new privileges"))?;
    // Changing user ids made the process dumpable again on some kernels.
    prctl::set_dumpable(false).map_err(cannot("become undumpable"))?;
    chdir("/").map_err(cannot("leave the working directory"))
}

/// `su` hands on the limits of whoever called it. A program that runs into them in the middle of a write leaves half of its
/// work behind, so they are lifted as far as this process may; where it may not, a write that is too long fails like any
/// other ([`crate::system::file_size_limit`]).
fn raise_resource_limits() -> Result<(), DropPrivilegesError> {
    for resource in [
        Resource::RLIMIT_FSIZE,
        Resource::RLIMIT_AS,
        Resource::RLIMIT_DATA,
        Resource::RLIMIT_CPU,
        Resource::RLIMIT_NPROC,
    ] {
        lift(resource, RLIM_INFINITY);
    }
    lift(Resource::RLIMIT_NOFILE, 1024);
    Ok(())
}

fn lift(resource: Resource, wanted: u64) {
    let Ok((soft, hard)) = getrlimit(resource) else { return };
    if soft < wanted && setrlimit(resource, wanted, hard.max(wanted)).is_err() {
        // Without the privilege to go beyond the hard limit, up to it; that is always allowed.
        let _as_it_is = setrlimit(resource, hard.min(wanted), hard);
    }
}

fn verify(account: &Account) -> Result<(), DropPrivilegesError> {
    let user = getresuid().map_err(cannot("ask for the user id"))?;
    let group = getresgid().map_err(cannot("ask for the group"))?;
    let is_user = [user.real, user.effective, user.saved].iter().all(|uid| *uid == account.uid);
    let is_group = [group.real, group.effective, group.saved].iter().all(|gid| *gid == account.gid);
    if !is_user || !is_group {
        let name = &account.name;
        return Err(DropPrivilegesError(format!(
            "this process is not {name}; only root can act for somebody else"
        )));
    }
    match setuid(Uid::from_raw(0)) {
        Ok(()) => Err(DropPrivilegesError("root could be regained".into())),
        Err(_) => Ok(()),
    }
}

fn cannot(what: &'static str) -> impl Fn(Errno) -> DropPrivilegesError {
    move |errno| DropPrivilegesError(format!("cannot {what}: {errno}"))
}

/// This process did not become the user.
#[derive(Debug)]
pub struct DropPrivilegesError(String);

impl fmt::Display for DropPrivilegesError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for DropPrivilegesError {}
