//! Parts of commands in separate processes: those that become the user, and those that the package
//! and its units run. Users do not call them.

use clap::Subcommand;

/// One part of a command.
#[derive(Subcommand)]
pub(crate) enum Internal {
    /// Inspect the home of USER, or repair one thing in it, for `doctor`.
    Inspect {
        /// The user.
        user: String,
        /// The repair to apply instead, as JSON.
        #[arg(long)]
        fix: Option<String>,
        /// Do not query systemd: it does not reply.
        #[arg(long)]
        without_systemd: bool,
    },
    /// Inspect the processes of USER, for `sessions`.
    Sessions {
        /// The user.
        user: String,
    },
    /// Publish the state of USER, for the service of the sync.
    PublishState {
        /// The user.
        user: String,
    },
    /// Read the state of USER, for publishing.
    ReadState {
        /// The user.
        user: String,
    },
    /// Publish the states that version 0.1.0 published, and remove its directories, for the
    /// package.
    MigratePublishedStates,
    /// Empty the directory in which syncs of version 0.1.0 published the state of USER.
    EmptyPublishedDirectory {
        /// The owner of the directory.
        #[arg(long)]
        uid: u32,
        /// The group of the directory.
        #[arg(long)]
        gid: u32,
        /// The user.
        user: String,
    },
    /// Bind the names that version 0.1.0 enrolled to their uids, for the package.
    BindIdentities,
    /// Read and write the Vault token file of USER, for `provision`.
    TokenAgent {
        /// The user.
        user: String,
    },
    /// Read the settings of the project in the working directory, for commands of the user.
    ProjectSettings,
    /// Push a new login to the store at the usual priority, for the watcher.
    Push,
    /// Start the syncs that users request.
    DispatchRequests,
}
