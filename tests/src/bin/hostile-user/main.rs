//! A user of a guest who attacks other users and root, with only the rights of an account.
//!
//!   hostile-user connect SOCKET        connects as fast as it can
//!   hostile-user hold SOCKET           connects, and holds the last connections
//!   hostile-user linger SOCKET         sends descriptors whose close takes an hour, and holds some
//!                                      of these connections
//!   hostile-user link PATH...          makes each PATH a symlink to a file whose lookup never ends
//!   hostile-user cover DIRECTORY UID   mounts a file system that never answers over DIRECTORY.
//!                                      Started by root, as the setuid fusermount3(1) is; served
//!                                      with the rights of UID
//!
//! Each runs until it is killed.

mod connections;
mod unresponsive_mount;

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["connect", socket] => connections::flood(Path::new(socket), 0),
        ["hold", socket] => connections::flood(Path::new(socket), 900),
        ["linger", socket] => connections::linger(Path::new(socket)),
        ["link", paths @ ..] => unresponsive_mount::link(&paths.iter().map(Path::new).collect::<Vec<_>>()),
        ["cover", directory, uid] => {
            unresponsive_mount::cover(Path::new(directory), uid.parse().expect("a user id"));
        }
        other => panic!("usage error: {other:?}"),
    }
}
