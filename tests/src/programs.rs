//! The programs and the package that `packaging/deb.sh` created: of the release build, which is
//! shipped, or of the profile in `CAS_PROFILE`. `tests/setup/package.sh` sets that for suites that
//! do not inspect the programs.

use std::{fs, path::PathBuf};

/// Returns the directory of the package, relative to this test.
///
/// # Panics
/// If there is no package.
pub fn packaging_folder() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "the environment of the suites selects the build")]
    let name = match std::env::var("CAS_PROFILE") {
        Ok(profile) if profile != "release" => format!("debian-{profile}"),
        _ => "debian".to_owned(),
    };
    let own = std::env::current_exe().unwrap_or_default();
    own.ancestors()
        .map(|folder| folder.join(&name))
        .find(|made| made.join("built/cas-session").exists())
        .unwrap_or_else(|| panic!("there is no target/{name}: run `packaging/deb.sh` or `make test`"))
}

/// Returns the directory of the programs in the package.
///
/// # Panics
/// As [`packaging_folder`].
pub fn release_folder() -> PathBuf {
    packaging_folder().join("built")
}

/// Returns the path of one of these programs.
///
/// # Panics
/// If it has not been built.
pub fn release(name: &str) -> PathBuf {
    let path = release_folder().join(name);
    assert!(path.exists(), "{} is missing: run `packaging/deb.sh` or `make test`", path.display());
    path
}

/// Returns the Debian package of these programs.
///
/// # Panics
/// If it does not exist.
pub fn package() -> PathBuf {
    let found = fs::read_dir(packaging_folder()).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut packages = found.filter(|path| path.extension() == Some("deb".as_ref()));
    packages.next().expect("there is no package: run `packaging/deb.sh` or `make test`")
}

/// Returns a file of that package, unpacked. `path` is its installed path from the root.
///
/// # Panics
/// If there is no such file.
pub fn packaged(path: &str) -> PathBuf {
    let file = packaging_folder().join("files").join(path.trim_start_matches('/'));
    assert!(
        file.exists(),
        "{path} is not in the package; if it should be, run `packaging/deb.sh` or `make test`"
    );
    file
}

/// Returns the path of the PAM module in the package.
pub fn packaged_module() -> PathBuf {
    packaged(&format!("/usr/lib/{}-linux-gnu/security/pam_cas_session.so", std::env::consts::ARCH))
}
