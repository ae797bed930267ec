//! A name service in the guest that resolves more than the account's own name, as directories do.

use std::process::Command;

use super::{CommandResult, Guest};

/// An NSS module (nss(5)): `ALICE`, `alice@corp`, `CORP\alice` and ` alice ` are other spellings of
/// `alice`, and `al` is another name for it. It looks the account's own name up, and returns that
/// entry unchanged.
const SOURCE: &str = r##"
use std::ffi::{CStr, CString, c_char, c_int, c_void};
type Lookup = unsafe extern "C" fn(*const c_char, *mut c_void, *mut c_char, usize, *mut *mut c_void) -> c_int;
unsafe extern "C" {
    fn getpwnam_r(name: *const c_char, entry: *mut c_void, buffer: *mut c_char, length: usize, found: *mut *mut c_void) -> c_int;
    fn getspnam_r(name: *const c_char, entry: *mut c_void, buffer: *mut c_char, length: usize, found: *mut *mut c_void) -> c_int;
}
const TRY_AGAIN: c_int = -2;
const NOT_FOUND: c_int = 0;
const SUCCESS: c_int = 1;
const ENOENT: c_int = 2;
const ERANGE: c_int = 34;
unsafe fn look_up(
    lookup: Lookup, name: *const c_char, entry: *mut c_void, buffer: *mut c_char, length: usize, error: *mut c_int,
) -> c_int {
    let requests = unsafe { CStr::from_ptr(name) }.to_str().unwrap_or_default();
    let plain = requests.trim().to_lowercase();
    let plain = plain.strip_prefix("corp\\").unwrap_or(&plain);
    let plain = plain.strip_suffix("@corp").unwrap_or(plain);
    let own = if plain == "al" { "alice" } else { plain };
    let mut found = std::ptr::null_mut();
    if own != requests && let Ok(own) = CString::new(own) {
        let result = unsafe { lookup(own.as_ptr(), entry, buffer, length, &mut found) };
        if result == ERANGE {
            unsafe { *error = ERANGE };
            return TRY_AGAIN;
        }
    }
    if found.is_null() {
        unsafe { *error = ENOENT };
        return NOT_FOUND;
    }
    SUCCESS
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_spellings_getpwnam_r(
    name: *const c_char, entry: *mut c_void, buffer: *mut c_char, length: usize, error: *mut c_int,
) -> c_int {
    unsafe { look_up(getpwnam_r, name, entry, buffer, length, error) }
}
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_spellings_getspnam_r(
    name: *const c_char, entry: *mut c_void, buffer: *mut c_char, length: usize, error: *mut c_int,
) -> c_int {
    unsafe { look_up(getspnam_r, name, entry, buffer, length, error) }
}
"##;

const FLAGS: [&str; 6] =
    ["--edition=2024", "--crate-type=cdylib", "-O", "-C", "panic=abort", "--crate-name=spellings"];

impl Guest {
    /// Makes the name service of the guest accept other spellings of its account names: in
    /// capitals, with `@corp` or `CORP\`, and with blanks around them. It resolves `al` to `alice`.
    ///
    /// # Panics
    /// If the module cannot be built.
    #[track_caller]
    pub fn accept_other_spellings(&self) {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let (source, module) = (scratch.path().join("spellings.rs"), scratch.path().join("module.so"));
        std::fs::write(&source, SOURCE).expect("the source is written");
        let mut rustc = Command::new("rustc");
        rustc.args(FLAGS).arg("-o").args([&module, &source]);
        CommandResult::run(rustc, b"").expect_success("building the NSS module");
        let folder = self.run("dirname \"$(ls /usr/lib/*/libnss_systemd.so.2 /lib/*/libnss_systemd.so.2 2>/dev/null | head -1)\"");
        self.copy_in(&module, &format!("{}/libnss_spellings.so.2", folder.text().trim()));
        self.run("sed -i 's/^passwd:.*/passwd: files spellings systemd/; s/^shadow:.*/shadow: files spellings/' /etc/nsswitch.conf && systemctl restart ssh systemd-logind")
            .expect_success("using the NSS module");
        let seen = self.run("getent passwd ALICE").expect_success("another spelling").text();
        assert!(seen.starts_with("alice:"), "{seen}");
    }
}
