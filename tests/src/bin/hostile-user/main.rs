//! A user of a guest who attacks other users and root, with only the rights of an account.
//!
//!   hostile-user flood DIRECTORY       requests a sync as fast as it can
//!   hostile-user hold DIRECTORY        opens and fills its request file, and tries to replace it
//!   hostile-user link PATH...          makes each PATH a symlink to a file whose lookup never ends
//!   hostile-user cover DIRECTORY UID   mounts a file system that never answers over DIRECTORY.
//!                                      Started by root, as the setuid fusermount3(1) is; served
//!                                      with the rights of UID
//!
//! Each runs until it is killed.

mod requests;
mod unresponsive_mount;

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["flood", directory] => requests::flood(Path::new(directory)),
        ["hold", directory] => requests::hold(Path::new(directory)),
        ["link", paths @ ..] => unresponsive_mount::link(&paths.iter().map(Path::new).collect::<Vec<_>>()),
        ["cover", directory, uid] => {
            unresponsive_mount::cover(Path::new(directory), uid.parse().expect("a user id"));
        }
        other => panic!("usage error: {other:?}"),
    }
}
