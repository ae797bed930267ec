//! The module of the package, as the dynamic linker, libpam and a packager see it.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use cas_tests::programs::packaged_module as module_file;

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(module_file())
        .output()
        .expect("binutils are installed (tests/setup/host-packages.sh)");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("binutils speak UTF-8")
}

#[test]
fn module_exports_only_the_six_entry_points() {
    let symbols = output_of("nm", &["-D", "--defined-only"]);
    let mut names: Vec<&str> = symbols.lines().filter_map(|line| line.split_whitespace().last()).collect();
    names.sort_unstable();
    let expected = [
        "pam_sm_acct_mgmt",
        "pam_sm_authenticate",
        "pam_sm_chauthtok",
        "pam_sm_close_session",
        "pam_sm_open_session",
        "pam_sm_setcred",
    ];
    assert_eq!(names, expected);
}

#[test]
fn module_links_only_libpam_and_libc() {
    let dynamic = output_of("readelf", &["-d"]);
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    let libraries: Vec<&str> = needed.filter_map(|line| line.split(['[', ']']).nth(1)).collect();
    assert!(libraries.contains(&"libpam.so.0") && libraries.contains(&"libc.so.6"), "{libraries:?}");
    for library in libraries {
        let usual = ["libpam.so.0", "libc.so.6", "libgcc_s.so.1"].contains(&library)
            || library.starts_with("ld-linux");
        assert!(usual, "{library}");
    }
}

/// A symbol without a version, or a newer one, would be missed at a login instead of at the
/// installation.
#[test]
fn module_needs_only_symbol_versions_of_debian_12() {
    let symbols = output_of("nm", &["-D", "--undefined-only", "--with-symbol-versions"]);
    let needed: Vec<&str> = symbols
        .lines()
        .filter(|line| line.trim_start().starts_with("U "))
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert!(needed.contains(&"pam_syslog@LIBPAM_EXTENSION_1.0"), "{needed:?}");
    assert!(needed.contains(&"posix_spawn_file_actions_addclosefrom_np@GLIBC_2.34"), "{needed:?}");
    for symbol in needed {
        let version = symbol.split_once('@').map(|(_, version)| version).unwrap_or_default();
        let glibc = version.strip_prefix("GLIBC_2.").and_then(|rest| rest.split('.').next()?.parse().ok());
        let is_there = match glibc {
            Some(minor) => (0..=36).contains(&minor),
            None => version.starts_with("LIBPAM_") || version.starts_with("GCC_"),
        };
        assert!(is_there, "{symbol}");
    }
}

#[test]
fn module_is_at_most_400_kb() {
    let size = std::fs::metadata(module_file()).expect("the module").len();
    assert!(size <= 400 * 1024, "{size} bytes");
}

#[test]
fn module_is_hardened_and_never_unloaded() {
    let dynamic = output_of("readelf", &["-d"]);
    assert!(dynamic.contains("BIND_NOW") && dynamic.contains("NODELETE"), "{dynamic}");
    for unwanted in ["RPATH", "RUNPATH", "TEXTREL"] {
        assert!(!dynamic.contains(unwanted), "{unwanted} in {dynamic}");
    }
    let segments = output_of("readelf", &["-lW"]);
    assert!(segments.contains("GNU_RELRO"), "{segments}");
    let stack = segments.lines().find(|line| line.contains("GNU_STACK")).expect("a stack segment");
    assert!(stack.contains(" RW ") && !stack.contains("RWE"), "{stack}");
    let writable_code = segments.lines().any(|line| line.contains("LOAD") && line.contains("RWE"));
    assert!(!writable_code, "{segments}");
}

#[test]
fn module_has_no_threads_and_no_exit_handlers() {
    let symbols = output_of("nm", &["-D", "--undefined-only"]);
    for unwanted in
        ["pthread_create", "atexit", "__cxa_atexit", "on_exit", "fork", "vfork", "execve", "system", "popen"]
    {
        let used = symbols.lines().filter_map(|line| line.split_whitespace().last());
        let used = used.filter_map(|name| name.split('@').next()).any(|name| name == unwanted);
        assert!(!used, "{unwanted}");
    }
}

#[test]
fn module_never_uses_the_pam_conversation() {
    let symbols = output_of("nm", &["-D", "--undefined-only"]);
    for unwanted in [
        "pam_get_user",
        "pam_prompt",
        "pam_vprompt",
        "pam_set_item",
        "pam_set_data",
        "getpw",
        "getgr",
        "getaddrinfo",
    ] {
        assert!(!symbols.contains(unwanted), "{unwanted}");
    }
}

#[test]
fn module_changes_no_identity_limit_or_log() {
    let symbols = output_of("nm", &["-D", "--undefined-only"]);
    for unwanted in [
        "setuid",
        "setgid",
        "setre",
        "setgroups",
        "initgroups",
        "umask",
        "chdir@",
        "setrlimit",
        "socket",
        "syslog@GLIBC",
        "dlopen",
        "setlocale",
        "putenv@GLIBC",
        "setenv",
    ] {
        assert!(!symbols.contains(unwanted), "{unwanted}");
    }
}

#[test]
fn module_contains_only_known_crates() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--offline",
            "--package",
            "pam_cas",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8(output.stdout).expect("UTF-8");
    let mut crates: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    crates.sort_unstable();
    crates.dedup();
    assert_eq!(crates, ["cas-protocol", "libc", "pam-bindings", "pam_cas", "zeroize"]);
}

#[test]
fn module_loads_with_all_symbols_resolved() {
    let path = CString::new(module_file().as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: the path ends in NUL; the module's initializers are those of the C runtime alone.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    assert!(!handle.is_null(), "dlopen succeeds");
}
