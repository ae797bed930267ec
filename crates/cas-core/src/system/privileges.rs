//! Drops privileges to the user permanently. No file of a user is opened before this has succeeded.

use std::ffi::CString;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{
    Gid, Uid, chdir, getgroups, getresgid, getresuid, initgroups, setgroups, setresgid, setresuid, setuid,
};

use crate::system::account::{Account, AccountEntry};

/// Sets the groups, group and user of `account`, in this order, and verifies that root cannot be
/// regained. A process that is not root can only be its own user. Returns the account with a home
/// that this process can open.
///
/// # Errors
/// [`DropPrivilegesError`] if a step fails. The process may then have a mixed identity; it must
/// open nothing and exit.
pub fn become_user(account: &AccountEntry) -> Result<Account, DropPrivilegesError> {
    let name = CString::new(account.name.as_str())
        .map_err(|_| DropPrivilegesError("the login name contains a NUL byte".into()))?;
    become_ids(&account.name, account.uid, account.gid, || initgroups(&name, account.gid))?;
    Ok(account.clone().into_own())
}

/// Does the same as [`become_user`] for the owner of a file, without supplementary groups.
/// Groups belong to a name, and the name of this user id may belong to another account now.
///
/// # Errors
/// As for [`become_user`].
pub fn become_owner(uid: Uid, gid: Gid) -> Result<(), DropPrivilegesError> {
    become_ids(&format!("user id {uid}"), uid, gid, || setgroups(&[]))?;
    match getgroups() {
        Ok(groups) if groups.iter().all(|group| *group == gid) => Ok(()),
        _ => Err(DropPrivilegesError("cannot drop the supplementary groups".into())),
    }
}

/// Hides what this process reads from now on from debuggers of the same user and from core dumps.
///
/// # Errors
/// [`DropPrivilegesError`] if a step fails.
pub fn harden_process() -> Result<(), DropPrivilegesError> {
    disable_dumps()?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(cannot("set RLIMIT_CORE"))
}

fn disable_dumps() -> Result<(), DropPrivilegesError> {
    prctl::set_dumpable(false).map_err(cannot("disable ptrace and core dumps (PR_SET_DUMPABLE)"))
}

fn become_ids(
    user: &str,
    uid: Uid,
    gid: Gid,
    set_groups: impl FnOnce() -> nix::Result<()>,
) -> Result<(), DropPrivilegesError> {
    if uid.is_root() {
        return Err(DropPrivilegesError("cannot act as root".into()));
    }
    umask(Mode::from_bits_truncate(0o077));
    harden_process()?;
    if Uid::effective().is_root() {
        set_groups().map_err(cannot("set the supplementary groups"))?;
        setresgid(gid, gid, gid).map_err(cannot("set the group id"))?;
        setresuid(uid, uid, uid).map_err(cannot("set the user id"))?;
    }
    verify(user, uid, gid)?;
    prctl::set_no_new_privs().map_err(cannot("set no_new_privs"))?;
    // On some kernels a change of user ids makes the process dumpable again.
    disable_dumps()?;
    chdir("/").map_err(cannot("change to /"))
}

/// Raises the resource limits of a login's helper, because `su` passes on the caller's limits, and
/// a program that reaches one in the middle of a write leaves a partial file. Without the privilege
/// to raise a limit, a write beyond it fails like any other ([`crate::system::file_size_limit`]).
///
/// The children keep these limits. So a process that calls this starts no program which its user
/// can trace or choose: neither one that the user can read nor one of the user's own.
pub fn raise_resource_limits() {
    for resource in [
        Resource::RLIMIT_FSIZE,
        Resource::RLIMIT_AS,
        Resource::RLIMIT_DATA,
        Resource::RLIMIT_CPU,
        Resource::RLIMIT_NPROC,
    ] {
        raise(resource, RLIM_INFINITY);
    }
    raise(Resource::RLIMIT_NOFILE, 1024);
}

fn raise(resource: Resource, limit: u64) {
    let Ok((soft, hard)) = getrlimit(resource) else { return };
    if soft < limit && setrlimit(resource, limit, hard.max(limit)).is_err() {
        // Without the privilege to exceed the hard limit, raise the soft limit up to it, which is
        // always permitted.
        let _best_effort = setrlimit(resource, hard.min(limit), hard);
    }
}

fn verify(name: &str, uid: Uid, gid: Gid) -> Result<(), DropPrivilegesError> {
    let user = getresuid().map_err(cannot("read the user ids"))?;
    let group = getresgid().map_err(cannot("read the group ids"))?;
    let is_user = [user.real, user.effective, user.saved].iter().all(|id| *id == uid);
    let is_group = [group.real, group.effective, group.saved].iter().all(|id| *id == gid);
    if !is_user || !is_group {
        return Err(DropPrivilegesError(format!(
            "this process is not {name}; only root can run this for another user"
        )));
    }
    match setuid(Uid::from_raw(0)) {
        Ok(()) => Err(DropPrivilegesError("root privileges can be regained".into())),
        Err(_) => Ok(()),
    }
}

fn cannot(what: &'static str) -> impl Fn(Errno) -> DropPrivilegesError {
    move |errno| DropPrivilegesError(format!("cannot {what}: {errno}"))
}

/// The process did not become the user.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DropPrivilegesError(String);
