//! The units of a user: the timer, its service and the watcher, all part of one target.

mod cgroup;
mod enabled;
mod names;
mod overrides;
mod start;
mod status;
mod stop;
mod systemctl;

pub(crate) use self::cgroup::{commands_in_unit, runs_in_sync_service};
pub(crate) use self::names::{REQUEST_SERVICE, Units};
pub(crate) use self::start::{
    ServiceResult, StartResult, are_enabled, is_any_enabled, is_watch_enabled, override_warning,
    reset_and_start, run_services, start, start_inactive,
};
pub(crate) use self::status::{TargetState, target, unit_status};
pub(crate) use self::stop::{still_running, stop, wait_until_stopped};
pub(crate) use self::systemctl::{BATCH_SIZE, NO_REPLY, QUERY_TIMEOUT, is_active, is_running, next_start};
