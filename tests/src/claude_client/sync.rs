//! `cas-sync run` in the fixture: as the user, with its own configuration, verifying with the
//! fixture's client.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::{CONFIGURATION, ClaudeFixture, ClaudeUser, Invocation};
use crate::openbao::Bao;
use crate::programs::release_folder;

impl ClaudeFixture {
    /// Creates a fixture with the client of this version and the release build, which verifies with
    /// that client.
    ///
    /// # Errors
    /// As [`Self::with_version`].
    ///
    /// # Panics
    /// If there is no release build.
    pub fn with_sync(version: &str) -> io::Result<Self> {
        let fixture = Self::with_version(version)?;
        // The build directory may not be accessible to the users here.
        for name in ["cas-sync", "cas-session"] {
            fs::copy(release_folder().join(name), fixture.path(name))?;
            fs::set_permissions(fixture.path(name), Permissions::from_mode(0o755))?;
        }
        fixture.configure(&fixture.client(), true)?;
        Ok(fixture)
    }

    /// Returns the client of this fixture.
    pub fn client(&self) -> PathBuf {
        self.path("claude")
    }

    /// Writes `/etc/claude-auth-sync/config.toml`: the client, and its trust in the simulation.
    ///
    /// # Errors
    /// Errors of writing it.
    pub fn configure(&self, program: &Path, trusts_the_stand_in: bool) -> io::Result<()> {
        let environment = if trusts_the_stand_in { self.trust() } else { String::new() };
        let text = format!("[claude]\nprogram = {:?}\n{environment}", program.display());
        fs::write(self.path(CONFIGURATION).join("config.toml"), text)
    }

    /// Writes `/etc/claude-auth-sync/config.toml` without a program, so that the sync has to find
    /// it.
    ///
    /// # Errors
    /// Errors of writing it.
    pub fn configure_without_program(&self) -> io::Result<()> {
        fs::write(self.path(CONFIGURATION).join("config.toml"), format!("[claude]\n{}", self.trust()))
    }

    fn trust(&self) -> String {
        format!("environment = {{ NODE_EXTRA_CA_CERTS = {:?} }}\n", self.path("ca.pem").display())
    }

    /// Writes `/etc/claude-auth-sync/conf.d/also.toml`.
    ///
    /// # Errors
    /// Errors of writing it.
    pub fn configure_also(&self, toml: &str) -> io::Result<()> {
        let directory = self.path(CONFIGURATION).join("conf.d");
        fs::create_dir_all(&directory)?;
        fs::write(directory.join("also.toml"), toml)
    }

    /// Starts a server with TLS in the network of the fixture, and makes it the product's store.
    ///
    /// # Errors
    /// Errors of writing the configuration.
    pub fn use_bao(&self) -> io::Result<Bao> {
        let bao = Bao::tls_behind(&self.namespaces.network_prefix());
        let ca = self.path("bao-ca.pem");
        fs::copy(bao.ca_cert().unwrap_or(Path::new("")), &ca)?;
        fs::set_permissions(&ca, Permissions::from_mode(0o644))?;
        let address = bao.address();
        self.configure_also(&format!(
            "store = \"vault\"\n[vault]\naddress = {address:?}\nca_cert = {ca:?}\n"
        ))?;
        Ok(bao)
    }

    /// Puts a program of the test where every user can run it: [`ClaudeUser::program`].
    ///
    /// # Errors
    /// Errors of writing it.
    pub fn install(&self, name: &str, text: &str) -> io::Result<()> {
        fs::write(self.path(name), text)?;
        fs::set_permissions(self.path(name), Permissions::from_mode(0o755))
    }

    /// Puts a program between the sync and the client: a shell script that finds the client in
    /// `$claude`.
    ///
    /// # Errors
    /// Errors of writing it.
    pub fn wrap_client(&self, script: &str) -> io::Result<PathBuf> {
        let wrapper = self.path("wrapper");
        let client = self.client();
        fs::write(&wrapper, format!("#!/bin/sh\nclaude={}\n{script}\n", client.display()))?;
        fs::set_permissions(&wrapper, Permissions::from_mode(0o755))?;
        self.configure(&wrapper, true)?;
        Ok(wrapper)
    }
}

impl<'fixture> ClaudeUser<'fixture> {
    /// Prepares `cas-sync run` to be run by this user.
    pub fn sync(&self) -> Invocation<'fixture> {
        Invocation::for_sync(self)
    }

    /// Prepares `cas-sync watch` to be run by this user.
    pub fn watch(&self) -> Invocation<'fixture> {
        self.sync().arguments(&["watch"])
    }

    /// Prepares what the PAM module starts at a login of this user: as root, with only its own
    /// environment.
    pub fn login(&self) -> Invocation<'fixture> {
        let user = format!("--user={}", self.name);
        let arguments = ["login", "--reply=1", "--deadline-ms=2000", "--minimum-uid=1000", &user];
        let invocation = self.sync().program("cas-session").arguments(&arguments).with_root_user();
        invocation
            .without_variable("LANG")
            .variable("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .variable("LC_ALL", "C")
    }

    /// Prepares a program of [`ClaudeFixture::install`] to be run by this user like a service.
    pub fn program(&self, name: &'static str) -> Invocation<'fixture> {
        self.sync().program(name).arguments(&[])
    }

    /// Puts the user's token for the store where the programs look for it.
    ///
    /// # Errors
    /// Errors of writing it.
    pub fn put_vault_token(&self, token: &str) -> io::Result<()> {
        let directory = self.home.join(".config/claude-auth-sync");
        fs::create_dir_all(&directory)?;
        let file = directory.join("vault-token");
        fs::write(&file, format!("{token}\n"))?;
        fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        for path in [&self.home.join(".config"), &directory, &file] {
            chown(path, Some(self.uid), Some(self.uid))?;
        }
        fs::set_permissions(&directory, Permissions::from_mode(0o700))
    }

    /// Returns a path in the state directory.
    pub fn state_file(&self, name: &str) -> PathBuf {
        self.home.join(".local/state/claude-auth-sync").join(name)
    }
}
