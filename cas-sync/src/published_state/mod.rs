//! The state of each enrolled user for root: a copy of the `state.json` of the user's last sync, in
//! a directory of root. Root opens nothing in a home, which may hang or may not be mounted.
//!
//! The service of the sync ends with [`publish`] (`ExecStopPost=`). A process that has become the
//! user reads the file, with a time limit. Root checks the content and writes the copy. So no user
//! owns anything here, and each user has at most [`MAX_SIZE`].

pub(crate) mod accounts;
mod clear_directory;
pub(crate) mod earlier_version;
pub(crate) mod publish;
pub(crate) mod read;
mod record;
pub(crate) mod report;
pub(crate) mod rows;
pub(crate) mod state_reader;

use std::path::{Path, PathBuf};

use cas_protocol::paths::STATE_DIR;

/// The directory of all published states, in [`STATE_DIR`]. A file is named after its user.
pub(crate) const PUBLISHED_DIR: &str = "published";

/// The maximum size of a state that is published or read, in bytes. Real ones are smaller than 2
/// KB.
pub(crate) const MAX_SIZE: usize = 64 << 10;

/// Returns the path of the published state of a user.
pub(crate) fn published_file(user: &str) -> PathBuf {
    Path::new(STATE_DIR).join(PUBLISHED_DIR).join(user)
}
