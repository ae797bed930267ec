//! `cas-sync doctor`: the guest is broken in many ways, one at a time. Doctor names the problem,
//! its printed remedy is executed, and doctor reports no finding afterwards. The rows are data;
//! their checks are compared with doctor's own list.

mod coverage;
mod first_start;
mod home;
mod machine;
mod row;
mod sessions;
mod sign_in;
mod store;
