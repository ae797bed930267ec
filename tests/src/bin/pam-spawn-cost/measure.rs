//! Interleaved rounds, so that other load affects all variants equally.

use std::ffi::{CString, c_int};
use std::fs::File;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::FromRawFd;
use std::ptr;
use std::time::Instant;

use crate::session::Session;

/// Measures and prints.
pub(crate) fn print_table(rounds: usize, module: &str, program: &str, confdir: &str) {
    let start = |service, user| Session::start(module, program, confdir, service, user);
    let enrolled = start(c"sshd", c"alice");
    let stranger = start(c"sshd", c"bob");
    let unlisted = start(c"cron", c"alice");
    let bare = CString::new(program).expect("no NUL");

    let variants: [(&str, &dyn Fn()); 4] = [
        ("bare: posix_spawn, read one line, wait", &|| spawn_and_read(&bare)),
        ("module, enrolled user with a token", &|| enrolled.open()),
        ("module, user who is not enrolled", &|| stranger.open()),
        ("module, service that is not listed", &|| unlisted.open()),
    ];
    let mut times = variants.map(|_| Vec::with_capacity(rounds));
    for round in 0..rounds + rounds / 10 {
        for ((_, run), times) in variants.iter().zip(&mut times) {
            let begun = Instant::now();
            run();
            if round >= rounds / 10 {
                times.push(begun.elapsed());
            }
        }
    }
    assert!(
        enrolled.has_token() && !stranger.has_token() && !unlisted.has_token(),
        "each variant did what it is for"
    );

    println!("{:<42} {:>10} {:>10} {:>8}", "variant", "median µs", "p95 µs", "ratio");
    let mut unit = None;
    for ((name, _), times) in variants.iter().zip(&mut times) {
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e6;
        let unit = *unit.get_or_insert(at(50));
        println!("{name:<42} {:>10.1} {:>10.1} {:>8.3}", at(50), at(95), at(50) / unit);
    }
}

/// Starts the program and reads its line: the minimum cost of asking a program.
fn spawn_and_read(program: &CString) {
    let mut ends: [c_int; 2] = [-1; 2];
    let mut pid = 0;
    // SAFETY: all pointers lead to live values; both descriptors are new; the child is waited for
    // once.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        let mut actions = MaybeUninit::uninit();
        libc::posix_spawn_file_actions_init(actions.as_mut_ptr());
        libc::posix_spawn_file_actions_adddup2(actions.as_mut_ptr(), ends[1], 1);
        let arguments = [program.as_ptr().cast_mut(), ptr::null_mut()];
        let environment = [ptr::null_mut()];
        let spawned = libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            actions.as_ptr(),
            ptr::null(),
            arguments.as_ptr(),
            environment.as_ptr(),
        );
        assert_eq!(spawned, 0);
        libc::posix_spawn_file_actions_destroy(actions.as_mut_ptr());
        libc::close(ends[1]);
        let mut line = Vec::new();
        File::from_raw_fd(ends[0]).read_to_end(&mut line).expect("the pipe is read");
        assert!(line.ends_with(b"\n"));
        assert_eq!(libc::waitpid(pid, ptr::null_mut(), 0), pid);
    }
}
