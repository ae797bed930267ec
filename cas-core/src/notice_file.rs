//! `notice` in the state directory: there exactly while its owner has to act, and then one line for their shell to show.

use crate::outcome::Outcome;
use crate::outcome::notice::Notice;
use crate::outcome::state::{self, State};
use crate::owned_file::Problem;
use crate::state_directory::StateDirectory;
use crate::whole_file;

/// The name of the file.
pub const FILE_NAME: &str = "notice";

/// Makes the file follow how a run ended. Where nothing is wrong, and nothing was, this is one look at a name.
///
/// # Errors
/// [`Problem`]; the file is then as it was before.
pub fn follow(outcome: &Outcome, state: &StateDirectory) -> Result<(), Problem> {
    let path = state.file(FILE_NAME);
    match outcome.notice() {
        Notice::Show(text) => {
            whole_file::create_private_directory(path.parent().unwrap_or(&path))?;
            whole_file::replace(&path, format!("{text}\n").as_bytes()).map(drop)
        }
        Notice::Clear => whole_file::remove(&path),
        Notice::ClearUnlessAbout(credential) => {
            let is_about = |state: State| state.notice_about == Some(credential);
            let before = || state.load::<Option<State>>(state::FILE_NAME).unwrap_or_default();
            if path.symlink_metadata().is_err() || before().is_some_and(is_about) {
                return Ok(());
            }
            whole_file::remove(&path)
        }
        Notice::Keep => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use nix::unistd::Uid;

    use super::*;
    use crate::fingerprint::Fingerprint;
    use crate::outcome::{Finding, Status};
    use crate::timestamp::Timestamp;
    use crate::verdict::Verdict;

    /// A run about this setup-token, told as a sync tells it.
    fn run(state: &StateDirectory, token: &str, verdict: Option<Verdict>) {
        let rejected = matches!(verdict, Some(Verdict::Rejected { .. }));
        let status = if rejected { Status::Fail } else { Status::Ok };
        let finding = Finding::SetupToken { token: Fingerprint::of(token), verdict };
        let outcome = Outcome::new(status, finding);
        let before = state.load::<Option<State>>(state::FILE_NAME).expect("readable");
        let after = State::after(&outcome, "alice", Timestamp::from_millis(1), before.as_ref());
        follow(&outcome, state).expect("followed");
        state.save(state::FILE_NAME, &after).expect("saved");
    }

    fn shown(path: &Path) -> Option<String> {
        fs::read_to_string(path).ok()
    }

    #[test]
    fn it_stays_until_the_credential_works_or_is_another() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDirectory::new(scratch.path().join("state"), Uid::effective().as_raw());
        let path = state.file(FILE_NAME);
        let rejected = || Some(Verdict::Rejected { account_level: false });
        run(&state, "old", None);
        assert_eq!(shown(&path), None);
        run(&state, "old", rejected());
        let notice = shown(&path).expect("shown");
        assert!(notice.ends_with("in the place of this one\n"), "{notice}");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);

        run(&state, "old", Some(Verdict::Unknown("529".into())));
        run(&state, "old", None);
        assert_eq!(shown(&path), Some(notice), "nobody has shown that it works again");
        run(&state, "old", Some(Verdict::Ok));
        assert_eq!(shown(&path), None);

        run(&state, "old", rejected());
        run(&state, "old", Some(Verdict::Unknown("529".into())));
        run(&state, "new", None);
        assert_eq!(shown(&path), None, "the person has acted");
    }

    #[test]
    fn an_unchanged_notice_is_not_written_again_and_a_link_is_left_alone() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let state = StateDirectory::new(scratch.path().to_owned(), Uid::effective().as_raw());
        let path = state.file(FILE_NAME);
        let identity = || fs::metadata(&path).and_then(|found| found.modified()).expect("there");
        run(&state, "t", Some(Verdict::Rejected { account_level: true }));
        let first = identity();
        run(&state, "t", Some(Verdict::Rejected { account_level: true }));
        assert_eq!(identity(), first);

        let target = scratch.path().join("target");
        fs::rename(&path, &target).and_then(|()| std::os::unix::fs::symlink(&target, &path)).expect("a link");
        let finding = Finding::Beyond { state: "lost".into() };
        let outcome = Outcome::new(Status::Fail, finding);
        assert!(follow(&outcome, &state).is_err());
        assert!(shown(&target).is_some_and(|text| text.contains("administrator")), "the target is as it was");
    }
}
