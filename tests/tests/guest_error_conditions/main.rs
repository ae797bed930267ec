//! Every command under every error condition: the documented exit status, one short error that
//! names the remedy, nothing on the standard output, and no file changed. The commands and the
//! conditions are data; a new command without its rows fails.

mod commands;
mod conditions;
mod disk_state;
mod usage;
