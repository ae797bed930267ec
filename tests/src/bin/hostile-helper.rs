//! Replaces `cas-session` and misbehaves. The file name selects how, so that one program can be
//! linked under many names. The answers and the report are in files next to it.

use std::ffi::{CStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use serde_json::{Map, Value, json};

/// A well-formed reply.
const REPLY: &[u8] = b"CAS1 sk-ant-oat01-the_token-of-the-bed\n";

/// Longer than any login may wait; still bounded, so that a failed test leaves no process
/// permanently.
const LONG: Duration = Duration::from_secs(30);

fn main() {
    let own = started_as();
    let mode = own.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let beside = own.parent().unwrap_or(Path::new("/")).to_owned();
    record_pid(&beside);
    match mode.as_str() {
        "answers" => write_stdout(REPLY),
        "answers-without-token" => write_stdout(b"CAS1\n"),
        "answers-what-is-written" => {
            write_stdout(&fs::read(beside.join("answer")).expect("an answer is written"))
        }
        "tells-what-it-sees" => {
            fs::write(beside.join("seen"), process_report().to_string()).expect("what was seen is written");
            write_stdout(REPLY);
        }
        "answers-late" => {
            std::thread::sleep(Duration::from_millis(400));
            write_stdout(REPLY);
        }
        "answers-soon" => {
            std::thread::sleep(Duration::from_millis(50));
            write_stdout(REPLY);
        }
        "hangs" => hang(),
        "answers-and-hangs" => {
            write_stdout(REPLY);
            hang();
        }
        "closes-and-hangs" => {
            close_output();
            hang();
        }
        "answers-closes-and-hangs" => {
            write_stdout(REPLY);
            close_output();
            hang();
        }
        "answers-closes-and-fails" => {
            write_stdout(REPLY);
            close_output();
            std::thread::sleep(Duration::from_millis(5));
            std::process::exit(3);
        }
        "answers-and-fails" => {
            write_stdout(REPLY);
            std::process::exit(3);
        }
        "answers-and-crashes" => {
            write_stdout(REPLY);
            signal_self(libc::SIGSEGV);
        }
        "answers-and-is-killed" => {
            write_stdout(REPLY);
            signal_self(libc::SIGKILL);
        }
        "crashes" => signal_self(libc::SIGSEGV),
        "stops" => {
            signal_self(libc::SIGSTOP);
            hang();
        }
        "ignores-signals-and-hangs" => {
            // SAFETY: the disposition is a constant.
            (1..32).for_each(|signal| unsafe {
                libc::signal(signal, libc::SIG_IGN);
            });
            hang();
        }
        "floods" => loop {
            write_stdout(&[b'A'; 65536]);
        },
        "drips" => loop {
            write_stdout(b"C");
            std::thread::sleep(Duration::from_millis(20));
        },
        "leaves-a-child" => {
            start_orphan(&beside, "hangs");
            write_stdout(REPLY);
        }
        "leaves-a-child-in-silence" => start_orphan(&beside, "hangs"),
        "leaves-a-child-elsewhere" => {
            start_orphan(&beside, "leaves-the-group");
            write_stdout(REPLY);
        }
        "leaves-the-group" => {
            // SAFETY: the call takes nothing.
            unsafe { libc::setsid() };
            std::thread::sleep(Duration::from_secs(3));
        }
        _ => std::process::exit(64),
    }
}

/// Returns the path that was passed to `execve`. Unlike `/proc/self/exe` it keeps the name of a
/// symlink.
fn started_as() -> PathBuf {
    // SAFETY: the kernel gives every program a string that ends in NUL and lives as long as the
    // program.
    let path = unsafe { CStr::from_ptr(libc::getauxval(libc::AT_EXECFN) as *const _) };
    PathBuf::from(OsString::from_vec(path.to_bytes().to_vec()))
}

/// Records the process id, so that a test can check whether the process still runs.
fn record_pid(beside: &Path) {
    let file = fs::OpenOptions::new().append(true).create(true).open(beside.join("pids"));
    if let Ok(mut file) = file {
        let _ = writeln!(file, "{}", std::process::id());
    }
}

fn write_stdout(bytes: &[u8]) {
    let _ = io::stdout().write_all(bytes).and_then(|()| io::stdout().flush());
}

fn hang() {
    std::thread::sleep(LONG);
}

fn close_output() {
    // SAFETY: nothing is written afterwards.
    unsafe { libc::close(1) };
}

/// Ends the process as a signal does that the program does not handle; the Rust runtime handles
/// some.
fn signal_self(signal: i32) {
    // SAFETY: the calls take plain numbers.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::kill(libc::getpid(), signal);
    }
}

/// Starts this program under another name, with the same standard output, and waits until it runs.
fn start_orphan(beside: &Path, mode: &str) {
    let known = || fs::read_to_string(beside.join("pids")).unwrap_or_default().lines().count();
    let before = known();
    let child = Command::new(beside.join(mode)).spawn().expect("the child starts");
    // It must be left running.
    std::mem::forget(child);
    while known() == before {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns what a program can observe of its environment.
fn process_report() -> Value {
    // Before any other file is opened.
    let descriptors: Map<String, Value> = (0..256)
        .filter_map(|number: i32| {
            // SAFETY: the call takes plain numbers.
            let open = unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
            let target = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
            open.then(|| (number.to_string(), json!(target)))
        })
        .collect();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let status: Map<String, Value> = status
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), json!(value.trim())))
        .collect();
    let environment = fs::read("/proc/self/environ").unwrap_or_default();
    json!({
        "arguments": std::env::args_os().map(|argument| argument.into_vec()).collect::<Vec<_>>(),
        "environment": String::from_utf8_lossy(&environment),
        "descriptors": descriptors,
        "status": status,
        "directory": std::env::current_dir().ok(),
        // SAFETY: the calls take plain numbers.
        "leads": unsafe { [libc::getsid(0) == libc::getpid(), libc::getpgid(0) == libc::getpid()] },
        "limits": fs::read_to_string("/proc/self/limits").ok(),
    })
}
