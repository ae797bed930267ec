//! Terminal output, recorded at real terminals and stored in `tests/recordings/`; `less -R`
//! displays a recording. Users of a guest run the release's `cas-sync` with the real client and a
//! real server, at terminals of 80 and 200 columns, in the C locale and in UTF-8, with `NO_COLOR`,
//! at a dumb terminal, and in a pipe.

mod credentials;
mod doctor;
mod elapsed_time;
mod normalize;
mod provision;
mod recording;
mod status;
mod terminal_setting;

use std::collections::BTreeSet;
use std::fs;

/// Each is recorded by one test.
const FOLDERS: [&str; 6] = ["doctor", "login", "provision", "status", "status-all", "token-set"];

#[test]
fn every_recording_directory_has_a_test() {
    let entries = fs::read_dir(recording::folder()).expect("the recordings");
    let found: BTreeSet<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(found, FOLDERS.map(str::to_owned).into());
}
