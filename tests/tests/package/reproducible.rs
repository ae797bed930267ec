//! The same content gives the same package. (`make reproducible` tests the build, which takes
//! minutes; this tests the packing.)

use std::path::Path;
use std::process::Command;
use std::{fs, str};

use cas_tests::programs::{package, packaging_folder, release_folder};

#[test]
fn packing_in_another_environment_is_reproducible() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let elsewhere = scratch.path().join("quite/another/place");
    fs::create_dir_all(&elsewhere).expect("a folder");
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/pack.sh");
    let packed = Command::new("sh")
        .args(["-c", "umask 077; exec \"$0\" \"$1\""])
        .arg(packaging)
        .arg(scratch.path().join("made"))
        .envs([("TZ", "Asia/Kathmandu"), ("LC_ALL", "C.UTF-8"), ("LANGUAGE", "de"), ("HOME", "/nonexistent")])
        .env("TMPDIR", &elsewhere)
        .env("RELEASE", release_folder())
        .env("GENERATED", packaging_folder().join("generated"))
        .output()
        .expect("a shell");
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let path = str::from_utf8(&packed.stdout).expect("a path").trim_end();
    assert!(fs::read(path).expect("the package") == fs::read(package()).expect("the package"), "{path}");
    assert_eq!(fs::read_dir(&elsewhere).expect("listed").count(), 0, "nothing is left");
}
