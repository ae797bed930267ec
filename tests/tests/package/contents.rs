//! The content of the package.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use cas_core::config::Config;
use cas_tests::programs::{package, packaged, packaged_module};

fn output_of(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).output();
    let output = output
        .unwrap_or_else(|error| panic!("{program} (tests/setup/host-packages.sh installs it): {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The programs, except the one that is not readable.
const PROGRAMS: [&str; 3] = [
    "/usr/bin/cas-session",
    "/usr/lib/claude-auth-sync/user-environment-generator",
    "/usr/share/doc/claude-auth-sync/examples/start-claude.sh",
];

/// Returns mode, owner and path of all its files.
fn listed() -> Vec<(String, String, String)> {
    let listed = output_of("dpkg-deb", &["--contents"], &package());
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (mode, owner) = (words.next()?.to_owned(), words.next()?.to_owned());
        Some((mode, owner, words.nth(3)?.trim_start_matches('.').to_owned()))
    };
    listed.lines().filter_map(line).collect()
}

#[test]
fn package_files_have_owner_root_and_expected_modes() {
    let listed = listed();
    for (mode, owner, path) in &listed {
        assert_eq!(owner, "root/root", "{path}");
        let expected = match mode.as_bytes().first() {
            Some(b'd') => "drwxr-xr-x",
            Some(b'l') => "lrwxrwxrwx",
            _ if ["/usr/bin/cas-sync", "/usr/bin/cas-session"].contains(&path.as_str()) => "-rwx--x--x",
            _ if PROGRAMS.contains(&path.as_str()) => "-rwxr-xr-x",
            _ => "-rw-r--r--",
        };
        assert_eq!(mode, expected, "{path}");
        // Debian 12 and 13 know /lib as a link alone.
        assert!(path.starts_with("/usr") || path.starts_with("/etc") || path == "/", "{path}");
    }
    let is_in = |path: &str| listed.iter().any(|(_, _, found)| found == path);
    let multiarch = format!("{}-linux-gnu", env::consts::ARCH);
    for path in [
        &format!("/usr/lib/{multiarch}/security/pam_cas_session.so"),
        "/usr/bin/claude-auth-sync",
        "/usr/lib/systemd/system/claude-auth-sync.target",
        "/usr/lib/systemd/system/claude-auth-watch@.service",
        "/usr/lib/systemd/system/claude-auth-request.service",
        "/usr/lib/tmpfiles.d/claude-auth-sync.conf",
        "/usr/share/pam-configs/claude-auth-sync",
        "/usr/share/claude-auth-sync/vault/user-policy.hcl",
        "/usr/share/man/man1/cas-session.1.gz",
        "/usr/share/man/man1/cas-sync.1.gz",
        "/usr/share/man/man8/cas-sync.8.gz",
        "/usr/share/man/man1/cas-sync-run.1.gz",
        "/usr/share/man/man8/cas-sync-enroll.8.gz",
        "/usr/share/man/man1/cas-sync-token-set.1.gz",
        "/usr/share/bash-completion/completions/cas-sync",
        "/usr/share/zsh/vendor-completions/_cas-sync",
        "/usr/share/fish/vendor_completions.d/cas-sync.fish",
        "/usr/share/doc/claude-auth-sync/THIRD-PARTY.gz",
        "/etc/claude-auth-sync/conf.d/",
    ] {
        assert!(is_in(path), "{path} is missing in {listed:#?}");
    }
}

/// Every unit, snippet and policy of the sources is in it.
#[test]
fn package_contains_every_packaged_source_file() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
    for (from, into) in [
        ("systemd", "/usr/lib/systemd/system"),
        ("tmpfiles.d", "/usr/lib/tmpfiles.d"),
        ("pam-configs", "/usr/share/pam-configs"),
        ("vault", "/usr/share/claude-auth-sync/vault"),
        ("alerts", "/usr/share/claude-auth-sync/alerts"),
        ("examples", "/usr/share/doc/claude-auth-sync/examples"),
        ("examples/user", "/usr/share/doc/claude-auth-sync/examples/user"),
    ] {
        for entry in fs::read_dir(sources.join(from)).expect("a folder of the sources") {
            let source = entry.expect("an entry").path();
            if source.is_dir() {
                continue;
            }
            let name = source.file_name().expect("a name").to_string_lossy().into_owned();
            let installed = fs::read(packaged(&format!("{into}/{name}"))).expect("readable");
            assert!(installed == fs::read(&source).expect("readable"), "{name}");
        }
    }
}

fn programs() -> [PathBuf; 3] {
    [packaged_module(), packaged("/usr/bin/cas-session"), packaged("/usr/bin/cas-sync")]
}

#[test]
fn programs_are_hardened() {
    for file in programs() {
        let name = file.display();
        let header = output_of("readelf", &["-hW"], &file);
        assert!(header.contains("DYN"), "{name} can lie anywhere: {header}");
        let segments = output_of("readelf", &["-lW"], &file);
        assert!(segments.contains("GNU_RELRO"), "{name}: {segments}");
        let stack = segments.lines().find(|line| line.contains("GNU_STACK")).expect("a stack segment");
        assert!(stack.contains(" RW ") && !stack.contains("RWE"), "{name}: {stack}");
        assert!(
            !segments.lines().any(|line| line.contains("LOAD") && line.contains("RWE")),
            "{name}: {segments}"
        );
        let dynamic = output_of("readelf", &["-dW"], &file);
        assert!(dynamic.contains("BIND_NOW"), "{name}: {dynamic}");
        for unwanted in ["RPATH", "RUNPATH", "TEXTREL"] {
            assert!(!dynamic.contains(unwanted), "{name}: {unwanted}");
        }
        let sections = output_of("readelf", &["-SW"], &file);
        assert!(!sections.contains(".symtab") && !sections.contains(".debug_info"), "{name} is stripped");
    }
}

/// No path of the build machine or its registry is in a program.
#[test]
fn package_contains_no_build_path() {
    let target = packaged("/").canonicalize().expect("the package's files");
    let target = target.ancestors().nth(2).expect("below the target folder").display().to_string();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace");
    let places = [target, workspace.display().to_string()];
    let mut seen = 0;
    for file in programs() {
        let text = output_of("strings", &["--all"], &file);
        seen += text.matches("/usr/src/").count();
        for unwanted in
            places.iter().map(String::as_str).chain(["/.cargo/", "/registry/src/", "crates.io-", "/.rustup/"])
        {
            let line = text.lines().find(|line| line.contains(unwanted));
            assert_eq!(line, None, "{unwanted} in {}", file.display());
        }
    }
    assert!(seen > 0, "the places of the sources have another name");
}

/// Only Claude Code itself connects to the vendor.
#[test]
fn programs_contain_no_vendor_host_name() {
    for file in programs() {
        let text = output_of("strings", &["--all"], &file);
        assert!(text.contains("CLAUDE_CODE_OAUTH_TOKEN"), "its texts are found: {}", file.display());
        for server in ["anthropic.com", "claude.ai", "claude.com"] {
            let line = text.lines().find(|line| line.contains(server));
            assert_eq!(line, None, "{server} in {}", file.display());
        }
    }
}

#[test]
fn package_version_equals_the_program_version() {
    let field = |name: &str| {
        let output =
            Command::new("dpkg-deb").arg("--field").arg(package()).arg(name).output().expect("dpkg-deb");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(field("Version"), env!("CARGO_PKG_VERSION"));
    let depends = field("Depends");
    for package in ["libpam-runtime", "libpam0g (>= ", "libc6 (>= "] {
        assert!(depends.contains(package), "{depends}");
    }
    let text =
        Command::new(packaged("/usr/bin/claude-auth-sync")).arg("--version").output().expect("it runs");
    assert_eq!(
        String::from_utf8_lossy(&text.stdout).trim(),
        format!("cas-sync {}", env!("CARGO_PKG_VERSION"))
    );
}

/// The shipped file is valid as it is, and with every line enabled.
#[test]
fn shipped_configuration_sets_nothing_and_is_valid() {
    let text = fs::read_to_string(packaged("/etc/claude-auth-sync/config.toml")).expect("readable");
    let folder = tempfile::tempdir().expect("a scratch folder");
    let load = |text: &str| {
        fs::write(folder.path().join("config.toml"), text).expect("written");
        Config::load(folder.path()).unwrap_or_else(|error| panic!("{error}"))
    };
    assert_eq!(load(&text), (Config::default(), Vec::new()));
    let in_force =
        |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned();
    let all: Vec<String> = text.lines().map(in_force).collect();
    let (config, warnings) = load(&all.join("\n"));
    assert_eq!(warnings, Vec::<String>::new());
    assert!(config.vault.proxy.is_some() && config.claude.program.is_some(), "{config:?}");
    for key in cas_core::config::KEYS {
        let key = key.rsplit('.').next().expect("a name");
        assert!(
            text.contains(&format!("#{key} = ")) || text.contains(&format!("#[{key}]")),
            "{key} is not in it"
        );
    }
}

/// Every manual page is valid troff, and documents every option.
#[test]
fn manual_pages_are_valid_and_complete() {
    let folder = packaged("/usr/share/man");
    let mut pages = 0;
    for section in fs::read_dir(&folder).expect("sections") {
        for page in fs::read_dir(section.expect("a section").path()).expect("pages") {
            let page = page.expect("a page").path();
            let read = Command::new("man")
                .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"])
                .arg(&page)
                .output()
                .expect("man is installed (tests/setup/host-packages.sh)");
            assert!(read.status.success() && !read.stdout.is_empty(), "{}", page.display());
            assert_eq!(String::from_utf8_lossy(&read.stderr), "", "{}", page.display());
            pages += 1;
        }
    }
    assert!(pages > 5, "{pages}");
    let enroll = Command::new("zcat").arg(folder.join("man8/cas-sync-enroll.8.gz")).output().expect("zcat");
    let enroll = String::from_utf8_lossy(&enroll.stdout).replace('\\', "");
    assert!(enroll.contains("--no-watch") && enroll.contains("USER"), "{enroll}");
}

/// Returns the output of `man` for the pages of the package, on a screen so wide that no line is
/// broken.
fn manual(arguments: &[&str]) -> String {
    let output = Command::new("man")
        .arg("--manpath")
        .arg(packaged("/usr/share/man"))
        .args(arguments)
        .envs([("LC_ALL", "C.UTF-8"), ("MANWIDTH", "2000"), ("MANPAGER", "cat")])
        .output()
        .expect("man is installed (tests/setup/host-packages.sh)");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// `man` with the product's name shows its overview page, although a command has that name too.
#[test]
fn man_with_the_product_name_opens_the_overview() {
    let overview = manual(&["claude-auth-sync"]);
    assert!(overview.starts_with("claude-auth-sync(7)"), "{overview}");
    let of_people = manual(&["cas-sync"]);
    assert!(of_people.starts_with("cas-sync(1)"), "{of_people}");
}

/// Each `NAME(SECTION)` at the end of a page of `cas-sync`.
#[test]
fn manual_pages_refer_only_to_existing_pages() {
    let mut pointers = 0;
    for section in ["1", "8"] {
        let folder = packaged("/usr/share/man").join(format!("man{section}"));
        for page in fs::read_dir(folder).expect("a section") {
            let page = page.expect("an entry").file_name().to_string_lossy().into_owned();
            let Some(name) =
                page.strip_suffix(".gz").and_then(|page| page.strip_suffix(&format!(".{section}")))
            else {
                panic!("{page} is no page of section {section}")
            };
            if !name.starts_with("cas-sync") {
                continue;
            }
            let text = manual(&[section, name]);
            let (_, rest) =
                text.split_once("\nSEE ALSO\n").unwrap_or_else(|| panic!("{page} points nowhere"));
            let named = rest.lines().next().expect("a line").trim().split(", ");
            for pointer in named {
                let (name, section) = pointer.trim_end_matches(')').split_once('(').expect("a section");
                manual(&["--where", section, name]);
                pointers += 1;
            }
        }
    }
    assert!(pointers > 10, "{pointers}");
}

/// Returns the completions of bash at the end of this command line.
fn offered(name: &str, words: &[&str]) -> String {
    let folder = packaged("/usr/share/bash-completion/completions");
    let function = format!("_{}", name.replace('-', "__"));
    let (last, before) = words.split_last().expect("a word that is being typed");
    let line = [&[name], before, &[last]].concat().join("' '");
    let script = format!(
        ". {}/{name}; COMP_WORDS=('{line}'); COMP_CWORD={}; {function} {name} '{last}' '{}'; echo \"${{COMPREPLY[*]}}\"",
        folder.display(),
        words.len(),
        before.last().unwrap_or(&name),
    );
    let output = Command::new("bash").args(["--norc", "-c", &script]).output().expect("bash");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn bash_completes_commands_and_options_under_both_names() {
    for name in ["cas-sync", "claude-auth-sync"] {
        let commands = offered(name, &[""]);
        assert!(commands.contains("provision") && commands.contains("enroll"), "{commands}");
        assert!(!commands.contains("internal"), "a hidden command is listed: {commands}");
        let options = offered(name, &["provision", "--"]);
        assert!(options.contains("--dry-run") && options.contains("--print-policy"), "{options}");
        let of_tokens = offered(name, &["token", "set", "--"]);
        assert!(of_tokens.contains("--minted-at") && of_tokens.contains("--unverified"), "{of_tokens}");
    }
}
