//! A home that fscrypt(1) encrypts: without its key the kernel shows no plain names, and refuses to
//! open or create files.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{ClaudeFixture, ClaudeUser, create_home_directories};

/// The size of the disk, in bytes; more than the client and the sync store in a home.
const SIZE: u64 = 64 << 20;

/// `/etc/fscrypt.conf`, with the least costs.
pub(super) const CONFIGURATION: &str = r#"{"source": "raw_key",
    "hash_costs": {"time": "1", "memory": "1024", "parallelism": "1"},
    "options": {"padding": "32", "contents": "AES_256_XTS", "filenames": "AES_256_CTS", "policy_version": "2"},
    "use_fs_keyring_for_v1_policies": false, "allow_cross_user_metadata": false}"#;

/// The lock of a home. The home is unlocked at first.
pub struct EncryptedHome<'fixture> {
    fixture: &'fixture ClaudeFixture,
    home: PathBuf,
    key: PathBuf,
}

impl ClaudeFixture {
    /// Creates a user whose empty home is encrypted, on a disk that is mounted only in the fixture.
    ///
    /// # Errors
    /// Errors of creating the disk, and of mkfs.ext4(8), mount(8) and fscrypt(1).
    pub fn user_with_encrypted_home(&self, name: &str) -> io::Result<(ClaudeUser<'_>, EncryptedHome<'_>)> {
        let [image, disk, key] = ["image", "disk", "key"].map(|what| self.path(&format!("{name}.{what}")));
        File::create(&image)?.set_len(SIZE)?;
        fs::create_dir(&disk)?;
        fs::write(&key, random_key()?)?;
        let home = disk.join("home");
        let [image, disk] = [image, disk].map(|path| path.display().to_string());
        self.run_as_root("mkfs.ext4", &["-q", "-O", "encrypt", &image])?;
        self.run_as_root("mount", &["-o", "loop", &image, &disk])?;
        self.run_as_root("fscrypt", &["setup", "--quiet", &disk])?;

        let mut user = self.register_user(name, home.clone())?;
        user.home = self.namespaces.from_outside(&home);
        fs::create_dir(&user.home)?;
        let lock = EncryptedHome { fixture: self, home, key };
        let options = ["--quiet", "--source=raw_key", "--name=home", "--skip-unlock"];
        lock.run_fscrypt("encrypt", &options)?;
        lock.unlock()?;
        create_home_directories(&user.home, user.uid)?;
        Ok((user, lock))
    }

    fn run_as_root(&self, program: &str, arguments: &[&str]) -> io::Result<()> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = self.namespaces.run(move || command.spawn())?.wait_with_output()?;
        if output.status.success() {
            return Ok(());
        }
        let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        Err(io::Error::other(format!("{program} {arguments:?}: {stdout}{stderr}")))
    }
}

impl EncryptedHome<'_> {
    /// Removes the key from the kernel, as the last logout does.
    ///
    /// # Errors
    /// If a file in the home is open.
    pub fn lock(&self) -> io::Result<()> {
        let home = self.home.display().to_string();
        self.fixture.run_as_root("fscrypt", &["lock", "--quiet", &home])
    }

    /// Gives the key to the kernel, as a login does.
    ///
    /// # Errors
    /// Errors of fscrypt(1).
    pub fn unlock(&self) -> io::Result<()> {
        self.run_fscrypt("unlock", &["--quiet"])
    }

    fn run_fscrypt(&self, what: &str, options: &[&str]) -> io::Result<()> {
        let key = format!("--key={}", self.key.display());
        let home = self.home.display().to_string();
        self.fixture.run_as_root("fscrypt", &[&[what, &key], options, &[&home]].concat())
    }
}

fn random_key() -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut key = vec![0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}
