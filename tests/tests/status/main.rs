//! `cas-sync status` compared with the real client, and on a machine with ten thousand users.

mod many_users;
mod precedence;
