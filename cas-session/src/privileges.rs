//! Becoming the user, for good: nothing of a user's is opened before this has succeeded.

use anyhow::{Context, Result, bail, ensure};
use cas_core::account::Account;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
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
