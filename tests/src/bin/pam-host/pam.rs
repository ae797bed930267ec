//! The application side of libpam, as far as a host needs it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

#[repr(C)]
struct Handle([u8; 0]);

#[repr(C)]
struct Conversation {
    function: extern "C" fn(c_int, *mut *const c_void, *mut *mut c_void, *mut c_void) -> c_int,
    data: *mut c_void,
}

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start_confdir(
        service: *const c_char,
        user: *const c_char,
        conversation: *const Conversation,
        confdir: *const c_char,
        handle: *mut *mut Handle,
    ) -> c_int;
    fn pam_end(handle: *mut Handle, status: c_int) -> c_int;
    fn pam_open_session(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_close_session(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_authenticate(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_setcred(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_acct_mgmt(handle: *mut Handle, flags: c_int) -> c_int;
    fn pam_getenvlist(handle: *mut Handle) -> *mut *mut c_char;
}

const SILENT: c_int = 0x8000;
const DATA_SILENT: c_int = 0x4000_0000;

static CONVERSATIONS: AtomicUsize = AtomicUsize::new(0);

/// Returns the number of calls of the conversation.
pub(crate) fn conversations() -> usize {
    CONVERSATIONS.load(Ordering::Relaxed)
}

extern "C" fn start_conversation(
    _: c_int,
    _: *mut *const c_void,
    _: *mut *mut c_void,
    _: *mut c_void,
) -> c_int {
    const PAM_CONV_ERR: c_int = 19;
    CONVERSATIONS.fetch_add(1, Ordering::Relaxed);
    PAM_CONV_ERR
}

static CONVERSATION: Conversation = Conversation { function: start_conversation, data: ptr::null_mut() };

// SAFETY: the structure is never written, and its data pointer is null.
unsafe impl Sync for Conversation {}

/// One PAM handle.
pub(crate) struct Session(*mut Handle);

impl Session {
    /// Runs `pam_start_confdir` and returns its result.
    pub(crate) fn start(confdir: &str, service: &str, user: Option<&[u8]>) -> (Self, c_int) {
        let confdir = CString::new(confdir).expect("no NUL");
        let service = CString::new(service).expect("no NUL");
        let user = user.map(|user| CString::new(user).expect("no NUL"));
        let user = user.as_ref().map_or(ptr::null(), |user| user.as_ptr());
        let mut handle = ptr::null_mut();
        // SAFETY: all strings end in NUL and outlive the call, which copies them; the conversation
        // is static.
        let code = unsafe {
            pam_start_confdir(
                service.as_ptr(),
                user,
                &raw const CONVERSATION,
                confdir.as_ptr(),
                &raw mut handle,
            )
        };
        (Self(handle), code)
    }

    /// Makes a call of a host by name, and returns its result.
    pub(crate) fn call(&mut self, name: &str, silent: bool) -> c_int {
        const ESTABLISH_CREDENTIALS: c_int = 2;
        let flags = if silent { SILENT } else { 0 };
        // SAFETY: the handle is from libpam and still open.
        unsafe {
            match name {
                "open" => pam_open_session(self.0, flags),
                "close" => pam_close_session(self.0, flags),
                "authenticate" => pam_authenticate(self.0, flags),
                "setcred" => pam_setcred(self.0, flags | ESTABLISH_CREDENTIALS),
                "account" => pam_acct_mgmt(self.0, flags),
                _ => panic!("no call {name}"),
            }
        }
    }

    /// Opens the session in the module alone, without libpam, which is not under test and writes an
    /// audit message.
    pub(crate) fn open_directly(&mut self, module: &str, arguments: &[String]) -> c_int {
        type Open = unsafe extern "C" fn(*mut Handle, c_int, c_int, *const *const c_char) -> c_int;
        let module = CString::new(module).expect("no NUL");
        let arguments: Vec<CString> =
            arguments.iter().map(|text| CString::new(text.as_str()).expect("no NUL")).collect();
        let pointers: Vec<*const c_char> = arguments.iter().map(|text| text.as_ptr()).collect();
        let count = c_int::try_from(pointers.len()).expect("few arguments");
        // SAFETY: the module has this entry point with this signature; all pointers live until it
        // returns.
        unsafe {
            let library = libc::dlopen(module.as_ptr(), libc::RTLD_NOW);
            let open = libc::dlsym(library, c"pam_sm_open_session".as_ptr());
            assert!(!open.is_null(), "the module loads");
            std::mem::transmute::<*mut c_void, Open>(open)(self.0, 0, count, pointers.as_ptr())
        }
    }

    /// Returns the environment of the session.
    pub(crate) fn environment(&mut self) -> Vec<String> {
        let mut variables = Vec::new();
        // SAFETY: libpam gives a list of allocated strings that ends in null, which the caller
        // frees.
        unsafe {
            let list = pam_getenvlist(self.0);
            let mut next = list;
            while !list.is_null() && !(*next).is_null() {
                variables.push(CStr::from_ptr(*next).to_string_lossy().into_owned());
                libc::free((*next).cast());
                next = next.add(1);
            }
            libc::free(list.cast());
        }
        variables
    }

    /// Ends the handle, with the result.
    pub(crate) fn end(self) -> c_int {
        // SAFETY: the handle is from libpam and not used again.
        unsafe { pam_end(self.0, 0) }
    }

    /// Ends the handle in a forked child, which then exits, as su and login do.
    pub(crate) fn end_in_forked_child(&mut self) {
        // SAFETY: the child only ends its handle and exits; the parent waits for this child.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                let code = pam_end(self.0, DATA_SILENT);
                libc::_exit(code);
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child, "the child is there");
            assert_eq!(status, 0, "pam_end in the child succeeds");
        }
    }
}
