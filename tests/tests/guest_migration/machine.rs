//! The machine before the migration: the script, its units in `/etc`, the users of its timers, and
//! a line in zsh's configuration.

use std::thread;
use std::time::{Duration, Instant};

use cas_tests::guest::{ClaudeGuest, Guest, Suite, env_file_path, login_path};
use cas_tests::openbao::{self, Bao, Policy, Prefix, VaultUser};
use serde_json::{Value, json};

/// Signs in.
pub(crate) const ALICE: &str = "alice";
/// Has a setup token, which an administrator has written into the store.
pub(crate) const BOB: &str = "bob";
/// Bob's.
pub(crate) const SETUP_TOKEN: &str = "sk-ant-oat01-bobs_setup-token";

/// The directory of the administrator's units.
pub(crate) const ADMIN_UNITS: &str = "/etc/systemd/system";
/// The script's.
pub(crate) const UNITS: [&str; 2] = ["claude-auth-sync@.service", "claude-auth-sync@.timer"];

const SCRIPT: &str = "/usr/local/bin/claude-auth-sync";
const CA: &str = "/etc/vault-ca.pem";
/// The start file of every zsh.
pub(crate) const ZSHENV: &str = "/etc/zsh/zshenv";
const ZSH_LINE: &str = "[ -r ~/.config/claude-auth-sync/claude-oauth.env ] && { set -a; . ~/.config/claude-auth-sync/claude-oauth.env; set +a; }";

const TIMERS: [&str; 2] = ["claude-auth-sync@alice.timer", "claude-auth-sync@bob.timer"];

/// A sufficient timeout.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The machine, its store, and the two users.
pub(crate) struct Machine {
    // Dropped before the guest, in whose network it runs.
    pub(crate) bao: Bao,
    pub(crate) alice: VaultUser,
    pub(crate) bob: VaultUser,
    pub(crate) fixture: ClaudeGuest,
}

/// Everything of a user that the migration must keep.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ScriptState {
    vault_token: String,
    env_file: Option<String>,
    login: Option<String>,
}

impl Machine {
    /// Installs the script in the state after some weeks: it has run for both users.
    pub(crate) fn install_script(suite: Suite) -> Self {
        let fixture = ClaudeGuest::start_with_files(suite, &[(&openbao::binary(), "/usr/local/bin/vault")])
            .unwrap_or_else(|error| panic!("no guest: {error}"));
        let guest = &fixture.guest;
        let bao = Bao::tls_behind(&Prefix(guest.network_prefix()));
        let ca = std::fs::read(bao.ca_cert().expect("it is behind TLS")).expect("reading the CA");
        guest.write(CA, "root", "644", &ca);
        let environment = format!(
            "VAULT_ADDR={}\nVAULT_CACERT={CA}\nNODE_EXTRA_CA_CERTS=/etc/anthropic-stand-in.pem\n",
            bao.address()
        );
        guest.write("/etc/default/claude-auth-sync", "root", "644", environment.as_bytes());
        guest.write(SCRIPT, "root", "755", include_bytes!("script/claude-auth-sync"));
        guest.run(&format!("echo '{ZSH_LINE}' >>{ZSHENV}")).expect_success("a line for every zsh");

        let [alice, bob] = [ALICE, BOB].map(|user| bao.create_user(user, Policy::Update));
        fixture.anthropic.accept_setup_token(SETUP_TOKEN);
        alice.put_document(&siblings(ALICE));
        let mut document = siblings(BOB);
        document["setup_token"] = SETUP_TOKEN.into();
        bob.put_document(&document);
        for vault_user in [&alice, &bob] {
            guest.put_vault_token(vault_user.user(), &format!("{}\n", vault_user.mint_for_legacy_script()));
            guest
                .run(&format!("u={}; install -d -m 700 -o $u -g $u ~$u/.claude ~$u/.local ~$u/.local/state ~$u/.local/state/claude-auth-sync", vault_user.user()).replace("~$u", &format!("/home/{}", vault_user.user())))
                .expect_success("its folders");
        }
        fixture.sign_in(ALICE);
        let machine = Self { bao, alice, bob, fixture };
        machine.enable_script();
        machine
    }

    pub(crate) fn guest(&self) -> &Guest {
        &self.fixture.guest
    }

    /// Installs the script's units, enables its timers, and lets it run for both.
    pub(crate) fn enable_script(&self) {
        let guest = self.guest();
        for (name, text) in UNITS.iter().zip([
            &include_bytes!("script/claude-auth-sync@.service")[..],
            include_bytes!("script/claude-auth-sync@.timer"),
        ]) {
            guest.write(&format!("{ADMIN_UNITS}/{name}"), "root", "644", text);
        }
        guest
            .run("systemctl daemon-reload && systemctl enable --quiet --now claude-auth-sync@alice.timer claude-auth-sync@bob.timer")
            .expect_success("its timers");
        self.run_script();
    }

    /// Lets the script run for both, as its timers do.
    pub(crate) fn run_script(&self) {
        for user in [ALICE, BOB] {
            self.guest()
                .run(&format!("systemctl start claude-auth-sync@{user}.service || {{ cat /home/{user}/.local/state/claude-auth-sync/sync.log; exit 1; }}"))
                .expect_success("the script");
        }
        for (user, output) in [(ALICE, "OK verified and backed up\n"), (BOB, "OK setup-token in use\n")] {
            assert!(self.log(user).ends_with(output), "{}", self.log(user));
        }
    }

    /// Writes the configuration that replaces the environment of the script.
    pub(crate) fn configure_product(&self) {
        let guest = self.guest();
        let address = self.bao.address();
        let text = format!("store = \"vault\"\n\n[vault]\naddress = \"{address}\"\nca_cert = \"{CA}\"\n");
        guest.configure(&text);
    }

    pub(crate) fn script_state(&self, user: &str) -> ScriptState {
        let guest = self.guest();
        let file = |path: String| guest.read(&path).map(|_| guest.file_identity(&path));
        ScriptState {
            vault_token: guest.file_identity(&format!("/home/{user}/.config/claude-auth-sync/vault-token")),
            env_file: file(env_file_path(user)),
            login: file(login_path(user)),
        }
    }

    /// Returns the text of a user's log.
    pub(crate) fn log(&self, user: &str) -> String {
        let log = self.guest().read(&format!("/home/{user}/.local/state/claude-auth-sync/sync.log"));
        String::from_utf8(log.unwrap_or_default()).expect("text")
    }

    /// Waits until the store has another login of Alice's than this one.
    #[track_caller]
    pub(crate) fn wait_for_backup_after(&self, before: &Value) {
        let end = Instant::now() + TIMEOUT;
        while self.alice.fields()["claude_ai_oauth_json"] == before["claude_ai_oauth_json"] {
            assert!(Instant::now() < end, "no backup: {}", self.log(ALICE));
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a user's log, which had this text before, has a successful sync. A sync that met
    /// the watcher's push has left the login to it, so it is started again.
    #[track_caller]
    pub(crate) fn wait_until_verified(&self, user: &str, before: &str) {
        let end = Instant::now() + TIMEOUT;
        loop {
            let log = self.log(user);
            let rest = log.strip_prefix(before).unwrap_or_else(|| panic!("{before} has become {log}"));
            if rest.lines().any(|line| line.contains("Z OK ") && line.ends_with("verified by inference")) {
                return;
            }
            assert!(Instant::now() < end, "{user}: {log}");
            thread::sleep(Duration::from_secs(1));
            self.guest()
                .run(&format!("systemctl start claude-auth-sync@{user}.service"))
                .expect_success("a sync");
        }
    }

    /// Returns a property of a unit.
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        self.guest()
            .run(&format!("systemctl show --property={name} --value '{unit}'"))
            .text()
            .trim()
            .to_owned()
    }

    /// Returns the links by which systemd starts units of either at boot, one per line.
    pub(crate) fn links(&self) -> String {
        self.guest()
            .run(&format!("cd {ADMIN_UNITS} && find *.wants -type l -name 'claude-auth-*@*' | LC_ALL=C sort"))
            .text()
    }

    /// Returns the timers of all users, one per line.
    pub(crate) fn timers(&self) -> Vec<String> {
        let output = self
            .guest()
            .run(
                "systemctl list-units --all --plain --no-legend --type=timer 'claude-auth-*@*' | cut -d' ' -f1",
            )
            .text();
        output.lines().map(str::to_owned).collect()
    }

    /// Checks that each user has one timer, of the product, which only the target starts; this does
    /// what a boot does.
    #[track_caller]
    pub(crate) fn is_taken_over(&self) {
        let links: String =
            ["sync@alice.timer", "sync@bob.timer", "watch@alice.service", "watch@bob.service"]
                .map(|unit| format!("claude-auth-sync.target.wants/claude-auth-{unit}\n"))
                .concat();
        let of_watches: String = [ALICE, BOB]
            .map(|user| format!("claude-auth-sync@{user}.service.wants/claude-auth-watch@{user}.service\n"))
            .concat();
        assert_eq!(self.links(), links + &of_watches);
        assert_eq!(self.timers(), TIMERS);
        for timer in TIMERS {
            let file = self.property(timer, "FragmentPath");
            assert!(file.ends_with("/lib/systemd/system/claude-auth-sync@.timer"), "{file}");
            assert_eq!(self.property(timer, "ActiveState"), "active");
            assert_ne!(self.property(timer, "NextElapseUSecRealtime"), "", "by the calendar, as packaged");
            assert!(self.property(timer, "TimersMonotonic").is_empty(), "and not by the script's");
        }
        for user in [ALICE, BOB] {
            let service = format!("claude-auth-sync@{user}.service");
            assert!(self.property(&service, "ExecStart").contains("/usr/bin/cas-sync"));
        }
        let guest = self.guest();
        guest.run("systemctl stop claude-auth-sync.target").expect_success("a pause");
        assert_eq!(
            guest.run("systemctl is-active claude-auth-sync@alice.timer claude-auth-sync@bob.timer").text(),
            "inactive\ninactive\n"
        );
        guest.run("systemctl start claude-auth-sync.target timers.target").expect_success("its end");
    }
}

/// Returns the fields of another tool at the same path.
pub(crate) fn siblings(user: &str) -> Value {
    json!({
        "vaultwarden_email": format!("{user}@example.org"),
        "vaultwarden_master_password": "correct horse <battery> staple",
        "vaultwarden_client_id": format!("user.{user}"),
        "vaultwarden_client_secret": "0123456789",
    })
}

/// Returns true if all fields of the other tool are unchanged.
#[track_caller]
pub(crate) fn has_siblings(fields: &Value, user: &str) {
    for (name, value) in siblings(user).as_object().expect("fields") {
        assert_eq!(&fields[name], value, "{user}");
    }
}
