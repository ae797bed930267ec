//! Every command where something is amiss: the documented exit status, one short error that names the remedy, nothing on the
//! standard output, and not a byte changed. The commands and the circumstances are data; a new command without its rows fails.

mod commands;
mod conditions;
mod disk_state;
mod usage;
