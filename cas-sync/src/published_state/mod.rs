//! What root knows of each user without opening anything in a home, which may hang or may not be mounted: a copy of the
//! `state.json` of their last sync, in a directory of root's.
//!
//! The service of the sync ends in [`publish`] (`ExecStopPost=`). A process that has become the user reads the file and has a
//! deadline; root judges what it says, and writes the copy. So no user owns anything here, and each has at most [`MAX_SIZE`].

pub(crate) mod accounts;
pub(crate) mod earlier_version;
pub(crate) mod publish;
pub(crate) mod read;
mod record;
pub(crate) mod report;
pub(crate) mod rows;
mod sanitize;
pub(crate) mod state_reader;

use std::path::{Path, PathBuf};

use cas_protocol::paths::STATE_DIR;

/// The directory of all published states, in [`STATE_DIR`]. A file is named after its user.
pub(crate) const PUBLISHED_DIR: &str = "published";

/// The largest state that is published or read, in bytes; real ones have less than two thousand.
pub(crate) const MAX_SIZE: usize = 64 << 10;

/// The published state of the user with this login name.
pub(crate) fn published_file(user: &str) -> PathBuf {
    Path::new(STATE_DIR).join(PUBLISHED_DIR).join(user)
}
