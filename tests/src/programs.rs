//! The programs as they are shipped: the release build, made by `packaging/build.sh`, and the package, by `packaging/deb.sh`.

use std::{fs, path::PathBuf};

/// Where `cargo build --release` has put what is installed, seen from this test's own place in the target folder.
///
/// # Panics
/// When there is no release build.
pub fn release_folder() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.ancestors()
        .map(|folder| folder.join("release"))
        .find(|release| release.join("cas-session").exists())
        .expect("there is no release build: run `packaging/build.sh` or `make test`")
}

/// One of these programs.
///
/// # Panics
/// When it has not been built.
pub fn release(name: &str) -> PathBuf {
    let path = release_folder().join(name);
    assert!(path.exists(), "{} is missing: run `packaging/build.sh` or `make test`", path.display());
    path
}

/// The Debian package of these programs.
///
/// # Panics
/// When it has not been made.
pub fn package() -> PathBuf {
    let folder = release_folder().join("../debian");
    let found = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut packages = found.filter(|path| path.extension() == Some("deb".as_ref()));
    packages.next().expect("there is no package: run `packaging/deb.sh` or `make test`")
}

/// A file of that package, unpacked: `path` is where it is installed, from the root.
///
/// # Panics
/// When there is no such file.
pub fn packaged(path: &str) -> PathBuf {
    let file = release_folder().join("../debian/files").join(path.trim_start_matches('/'));
    assert!(
        file.exists(),
        "{path} is not in the package; if it should be, run `packaging/deb.sh` or `make test`"
    );
    file
}

/// Where the package has the PAM module.
pub fn packaged_module() -> PathBuf {
    packaged(&format!("/usr/lib/{}-linux-gnu/security/pam_cas_session.so", std::env::consts::ARCH))
}
