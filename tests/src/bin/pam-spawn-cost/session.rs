//! Calls the module's entry point directly, so that libpam is not measured.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

type Open = unsafe extern "C" fn(*mut c_void, c_int, c_int, *const *const c_char) -> c_int;

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_start_confdir(
        service: *const c_char,
        user: *const c_char,
        conversation: *const [*const c_void; 2],
        confdir: *const c_char,
        handle: *mut *mut c_void,
    ) -> c_int;
    fn pam_getenv(handle: *mut c_void, name: *const c_char) -> *const c_char;
    fn pam_end(handle: *mut c_void, status: c_int) -> c_int;
}

/// A handle for one service and user, and the module.
pub(crate) struct Session {
    handle: *mut c_void,
    open: Open,
    arguments: Vec<CString>,
}

impl Session {
    pub(crate) fn start(module: &str, program: &str, confdir: &str, service: &CStr, user: &CStr) -> Self {
        let confdir = CString::new(confdir).expect("no NUL");
        let module = CString::new(module).expect("no NUL");
        let no_conversation = [ptr::null(); 2];
        let mut handle = ptr::null_mut();
        // SAFETY: all strings end in NUL and live until the call has copied them; the module never
        // uses the conversation.
        let started = unsafe {
            pam_start_confdir(
                service.as_ptr(),
                user.as_ptr(),
                &raw const no_conversation,
                confdir.as_ptr(),
                &raw mut handle,
            )
        };
        assert_eq!(started, 0, "libpam starts");
        // SAFETY: the module has this entry point with this signature.
        let open = unsafe {
            let library = libc::dlopen(module.as_ptr(), libc::RTLD_NOW);
            let open = libc::dlsym(library, c"pam_sm_open_session".as_ptr());
            assert!(!open.is_null(), "the module loads");
            std::mem::transmute::<*mut c_void, Open>(open)
        };
        Self { handle, open, arguments: vec![CString::new(format!("helper={program}")).expect("no NUL")] }
    }

    /// Opens the session again.
    pub(crate) fn open(&self) {
        let pointers: Vec<*const c_char> = self.arguments.iter().map(|text| text.as_ptr()).collect();
        let count = c_int::try_from(pointers.len()).expect("few arguments");
        // SAFETY: the handle is live, and so are the arguments until the call returns.
        let code = unsafe { (self.open)(self.handle, 0, count, pointers.as_ptr()) };
        assert_eq!(code, 0, "the session opens");
    }

    /// Returns true if the variable is set.
    pub(crate) fn has_token(&self) -> bool {
        // SAFETY: the handle is live; the answer is only compared with null.
        !unsafe { pam_getenv(self.handle, c"CLAUDE_CODE_OAUTH_TOKEN".as_ptr()) }.is_null()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the handle is live and not used again.
        unsafe { pam_end(self.handle, 0) };
    }
}
