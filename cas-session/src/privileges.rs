//! Becoming the user, for good: nothing of a user's is opened before this has succeeded.

use anyhow::{Context, Result, bail, ensure};
use cas_core::account::Account;
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Uid, chdir, getresgid, getresuid, initgroups, setresgid, setresuid, setuid};

/// Takes on groups, group and user of `account`, in this order, and makes sure that there is no way back. A process that
/// is not root can only be itself.
pub(crate) fn become_user(account: &Account) -> Result<()> {
    ensure!(!account.uid.is_root(), "nothing is done for root");
    umask(Mode::from_bits_truncate(0o077));
    // Neither a debugger of the same user nor a core dump may see what is read from here on.
    prctl::set_dumpable(false).context("cannot become undumpable")?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("cannot forbid core dumps")?;
    lift_the_limits_of_the_caller()?;
    if Uid::effective().is_root() {
        let name = std::ffi::CString::new(account.name.as_str())?;
        initgroups(&name, account.gid).context("cannot take on the groups")?;
        setresgid(account.gid, account.gid, account.gid).context("cannot take on the group")?;
        setresuid(account.uid, account.uid, account.uid).context("cannot take on the user id")?;
    }
    verify(account)?;
    prctl::set_no_new_privs().context("cannot renounce new privileges")?;
    // Changing user ids made the process dumpable again on some kernels.
    prctl::set_dumpable(false).context("cannot become undumpable")?;
    chdir("/").context("cannot leave the working directory")
}

/// `su` hands on the limits of whoever called it. A program that runs into them in the middle of a write leaves half of its
/// work behind, so they are lifted as far as this process may; where it may not, a write that is too long fails like any
/// other, instead of by a signal.
fn lift_the_limits_of_the_caller() -> Result<()> {
    let mut too_long = SigSet::empty();
    too_long.add(Signal::SIGXFSZ);
    too_long.thread_block().context("cannot hold back SIGXFSZ")?;
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

fn verify(account: &Account) -> Result<()> {
    let (user, group) = (getresuid()?, getresgid()?);
    let is_user = [user.real, user.effective, user.saved].iter().all(|uid| *uid == account.uid);
    let is_group = [group.real, group.effective, group.saved].iter().all(|gid| *gid == account.gid);
    if !is_user || !is_group {
        bail!("this process is not {}; only root can act for somebody else", account.name);
    }
    ensure!(setuid(Uid::from_raw(0)).is_err(), "root could be regained");
    Ok(())
}
