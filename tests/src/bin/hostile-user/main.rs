//! A user of a guest who attacks other users and root, with only the rights of an account.
//!
//!   hostile-user connect SOCKET        connects as fast as it can
//!   hostile-user hold SOCKET           as that, and holds the last connections that it got
//!   hostile-user linger SOCKET         sends descriptors whose close takes an hour, and holds some of these connections
//!   hostile-user link PATH...          makes each PATH a link to a file whose lookup never ends
//!   hostile-user cover DIRECTORY UID   mounts over DIRECTORY what never answers. Begun by root, as fusermount3(1) is, which
//!                                      is setuid; it is served with the rights of UID
//!
//! Each runs until it is ended.

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
