//! Reads one configuration file and its TOML. The configuration decides where credentials are sent,
//! so files of other users are rejected. A login waits for it, so a FIFO or a device is rejected at
//! once.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::Uid;
use toml::Table;

use crate::fs::regular_file::{OpenError, RegularFile, Symlinks};

/// The largest file, in bytes. A roster has some hundred bytes per user.
const LIMIT: usize = 16 << 20;

/// Returns the text of the file at `path`, or `None` if it does not exist.
///
/// # Errors
/// What is wrong with the file, and the remedy.
pub(crate) fn read(path: &Path) -> Result<Option<String>, String> {
    let Some(file) = RegularFile::open(path, Symlinks::Follow).map_err(describe_open_error)? else {
        return Ok(None);
    };
    let found = file.metadata();
    if found.uid() != 0 && found.uid() != Uid::effective().as_raw() {
        return Err(format!("it belongs to user id {}: change its owner to root", found.uid()));
    }
    if found.mode() & 0o002 != 0 {
        return Err("every user can write it: check its content, then run chmod o-w".into());
    }
    let mut bytes = Vec::new();
    file.read(LIMIT, &mut bytes).map_err(describe_open_error)?;
    String::from_utf8(bytes).map(Some).map_err(|_| "it is not text in UTF-8".into())
}

fn describe_open_error(error: OpenError) -> String {
    match error {
        OpenError::NotRegular | OpenError::Link => "it is not a regular file: move it away".into(),
        OpenError::TooLarge => format!("it is longer than {LIMIT} bytes: move it away"),
        OpenError::Failed(error) => format!("it cannot be read: {error}"),
    }
}

/// Parses `text` as TOML.
///
/// # Errors
/// The position and the message, in one line for the journal. Columns are counted in characters, as
/// editors do.
pub(crate) fn parse(text: &str) -> Result<Table, String> {
    text.parse().map_err(|error: toml::de::Error| {
        let what = error.message().replace('\n', ", ");
        let before = error.span().and_then(|place| text.get(..place.start));
        before.map_or_else(
            || what.clone(),
            |before| {
                let lines = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                format!("line {lines}, column {column}: {what}")
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn config_file_that_every_user_can_write_is_rejected() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = |name: &str| scratch.path().join(name);
        assert_eq!(read(&path("absent")), Ok(None));
        fs::write(path("plain"), "store = 'local'").expect("a file");
        symlink("plain", path("link")).expect("a link");
        for name in ["plain", "link"] {
            assert_eq!(read(&path(name)), Ok(Some("store = 'local'".into())), "{name}");
        }

        mkfifo(&path("fifo"), Mode::S_IRWXU).expect("a FIFO");
        fs::write(path("long"), vec![b' '; LIMIT + 1]).expect("a file");
        fs::write(path("binary"), [0xff]).expect("a file");
        let refused = |path: &Path| read(path).expect_err("the file is rejected");
        assert!(refused(&path("fifo")).contains("not a regular file"));
        assert!(refused(scratch.path()).contains("not a regular file"));
        assert!(refused(Path::new("/dev/zero")).contains("not a regular file"));
        assert!(refused(&path("long")).contains("longer than"));
        assert!(refused(&path("binary")).contains("UTF-8"));
        fs::set_permissions(path("plain"), fs::Permissions::from_mode(0o646)).expect("chmod");
        assert!(refused(&path("plain")).contains("every user can write"));
        fs::set_permissions(path("plain"), fs::Permissions::from_mode(0o664)).expect("chmod");
        assert!(read(&path("plain")).is_ok(), "a group may have write access");
    }

    /// Runs on the stack of a small thread: a mistake in the configuration must not overflow the
    /// stack during a login.
    #[test]
    fn deeply_nested_toml_is_rejected_with_its_line() {
        let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(|| {
            for (before, open) in [("a = ", "["), ("a = ", "{a="), ("", "a."), ("[", "a."), ("[[", "a.")] {
                for depth in [200, 300_000] {
                    let text = format!("store = 'local'\n{before}{}", open.repeat(depth));
                    let error = parse(&text).expect_err("the text is rejected");
                    assert!(error.contains("line 2"), "{before}{open} {depth}: {error:.100}");
                    assert!(error.len() < 1000, "{} bytes", error.len());
                }
            }
        });
        thread.expect("a thread").join().expect("the stack is large enough");
    }
}
