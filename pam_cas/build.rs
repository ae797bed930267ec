//! Marks the module as never to be unloaded: a host which closes it while one of its threads still owns thread-local
//! state of the Rust runtime would jump into unmapped memory when that thread ends (`docs/design/pam-checklist.md`, 3 and 6).

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
