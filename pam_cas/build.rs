//! Links the module with `-z nodelete`. If a host unloaded it while one of its threads still owned
//! thread-local state of the Rust runtime, that thread would jump into unmapped memory when it ends
//! (`docs/design/pam-checklist.md`, 3 and 6).

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
