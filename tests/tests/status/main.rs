//! `cas-sync status` beside the real client, which does what it says; and on a machine with ten thousand people.

mod crowd;
mod precedence;
