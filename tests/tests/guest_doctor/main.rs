//! `cas-sync doctor`: the guest is broken in one way after the other; doctor names it, its remedy is executed as it was
//! printed, and doctor is content. The rows are data; which check they are about is checked against doctor's own list.

mod coverage;
mod first_start;
mod home;
mod machine;
mod row;
mod sessions;
mod sign_in;
mod store;
