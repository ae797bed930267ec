//! Reads one file of the configuration, and the TOML in it. It says where people's credentials are sent, so somebody
//! else's file is not believed; and a login waits for it, so a FIFO or a device in its place is an error at once.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::Uid;
use toml::Table;

use crate::fs::regular_file::{OpenError, RegularFile, Symlinks};

/// The longest file in bytes; a roster has some hundred for each person.
const LIMIT: usize = 16 << 20;

/// The text of the file at `path`; nothing where there is none.
///
/// # Errors
/// What is wrong with it, and what to do.
pub(crate) fn read(path: &Path) -> Result<Option<String>, String> {
    let Some(file) = RegularFile::open(path, Symlinks::Follow).map_err(unfit)? else { return Ok(None) };
    let found = file.metadata();
    if found.uid() != 0 && found.uid() != Uid::effective().as_raw() {
        return Err(format!("it belongs to user id {}: give it to root", found.uid()));
    }
    if found.mode() & 0o002 != 0 {
        return Err("everybody may write it: look it over, then chmod o-w".into());
    }
    let mut bytes = Vec::new();
    file.read(LIMIT, &mut bytes).map_err(unfit)?;
    String::from_utf8(bytes).map(Some).map_err(|_| "it is not text in UTF-8".into())
}

fn unfit(unfit: OpenError) -> String {
    match unfit {
        OpenError::NotRegular | OpenError::Link => "it is no regular file: move it out of the way".into(),
        OpenError::TooLarge => format!("it is longer than {LIMIT} bytes: move it out of the way"),
        OpenError::Failed(error) => format!("it cannot be read: {error}"),
    }
}

/// The table that `text` is.
///
/// # Errors
/// Where it is not TOML, and what is wrong there: in one line, for a journal. Columns are characters, as editors count them.
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
    fn only_a_regular_file_that_not_everybody_may_write_is_believed() {
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
        let refused = |path: &Path| read(path).expect_err("it is not believed");
        assert!(refused(&path("fifo")).contains("no regular file"));
        assert!(refused(scratch.path()).contains("no regular file"));
        assert!(refused(Path::new("/dev/zero")).contains("no regular file"));
        assert!(refused(&path("long")).contains("longer than"));
        assert!(refused(&path("binary")).contains("UTF-8"));
        fs::set_permissions(path("plain"), fs::Permissions::from_mode(0o646)).expect("chmod");
        assert!(refused(&path("plain")).contains("everybody may write"));
        fs::set_permissions(path("plain"), fs::Permissions::from_mode(0o664)).expect("chmod");
        assert!(read(&path("plain")).is_ok(), "a group of admins may");
    }

    /// On the stack of a small thread: an admin's mistake is an error that names the place, never the end of a login.
    #[test]
    fn toml_nested_without_end_is_refused_with_its_line() {
        let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(|| {
            for (before, open) in [("a = ", "["), ("a = ", "{a="), ("", "a."), ("[", "a."), ("[[", "a.")] {
                for depth in [200, 300_000] {
                    let text = format!("store = 'local'\n{before}{}", open.repeat(depth));
                    let error = parse(&text).expect_err("it is not believed");
                    assert!(error.contains("line 2"), "{before}{open} {depth}: {error:.100}");
                    assert!(error.len() < 1000, "{} bytes", error.len());
                }
            }
        });
        thread.expect("a thread").join().expect("the stack is large enough");
    }
}
