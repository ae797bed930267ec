//! Runs in which something keeps the login file from being written, and does not pass by itself.

use std::path::PathBuf;

use cas_core::credential::verification::{Verification, Verifier};
use cas_core::fs::obstacle::{Obstacle, ObstacleKind};
use cas_core::outcome::Status;
use cas_core::outcome::notice::UserAction;
use cas_protocol::secret::Secret;

use crate::home::{HOUR, Home, NOW, file, login};

/// A client that could not write a refreshed login.
struct Obstructed(ObstacleKind);

impl Verifier for Obstructed {
    fn probe(&mut self, _: &Secret<String>) -> Verification {
        Verification::Rejected { account_level: false }
    }

    fn refresh_in_place(&mut self) -> Result<Verification, Obstacle> {
        Err(Obstacle { kind: self.0, path: PathBuf::from("/home/alice/.claude/.credentials.json") })
    }
}

#[test]
fn obstacle_prevents_the_refresh_and_is_a_failure() {
    use ObstacleKind::*;
    let rows = [
        (Immutable, Status::Fail, 1),
        (MountPoint, Status::Fail, 1),
        (ReadOnly, Status::Fail, 1),
        (NoSpace, Status::Fail, 1),
        (QuotaExceeded, Status::Fail, 1),
        (FileSizeLimit, Status::Fail, 1),
        (NoPermission, Status::Fail, 1),
        // Each session of the user has a ticket or a key.
        (NoTicket, Status::Skip, 0),
        (NoKey, Status::Skip, 0),
    ];
    for (kind, status, code) in rows {
        // With an expired access token, and with a rejected one.
        for end in [NOW, NOW + 8 * HOUR] {
            let home = Home::new();
            home.put(&file(&login("r1", end)));
            let outcome = home.verify(NOW, Obstructed(kind));
            assert_eq!((outcome.status, outcome.exit_code()), (status, code), "{kind:?}: {outcome}");
            let text = outcome.to_string();
            assert!(text.contains(kind.cause()) && !text.contains("later"), "{kind:?}: {text}");
            assert_eq!(home.content(), file(&login("r1", end)), "{kind:?}");
            assert!(!home.state().path("history.json").exists(), "{kind:?}");
            let is_told = matches!(outcome.notice().action, UserAction::Required(_));
            assert_eq!(is_told, status == Status::Fail, "{kind:?}");
        }
    }
}
