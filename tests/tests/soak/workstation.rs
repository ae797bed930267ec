//! A workstation with the real clients, a store and the simulated servers, and a user who works on
//! it for days.

use std::fs;
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_tests::anthropic::{Account, Login};
use cas_tests::claude_client::{BackgroundRun, ClaudeFixture, ClaudeUser, ClientOutput, NEWEST, in_hours};
use cas_tests::openbao::{Bao, Policy, VaultUser};
use cas_tests::watcher::Process;
use serde_json::{Value, json};

use super::clock::{age_text, age_tree};
use super::incident::{Hour, Incident};
use super::measurements::Measurements;

/// A timeout far above the duration of every run, so that a slow machine does not fail.
const LIMIT: Duration = Duration::from_secs(200);

const HOUR: Duration = Duration::from_secs(3600);
const LIFETIME: Duration = Duration::from_secs(8 * 3600);

/// What repairs the user's login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The user signs in again.
    Nothing,
    /// A script every six hours.
    Script,
    /// `cas-session` at each login, `cas-sync watch`, and `cas-sync run` every six hours.
    Product,
}

impl Remedy {
    /// Returns the name of the user who has it.
    fn user(self) -> &'static str {
        match self {
            Self::Nothing => "alice",
            Self::Script => "bob",
            Self::Product => "carol",
        }
    }
}

/// One workstation during one week.
pub(super) struct Workstation<'fixture> {
    fixture: &'fixture ClaudeFixture,
    bao: &'fixture Bao,
    user: ClaudeUser<'fixture>,
    vault_user: VaultUser,
    remedy: Remedy,
    watcher: Option<(BackgroundRun, Process)>,
    family: String,
    /// The file at the start of this day and of the day before.
    copies: [String; 2],
    /// True if the newest refresh token of the family was never in the file, or the server has
    /// revoked the family for a reason that no repair prevents.
    is_lost: bool,
    is_sealed: bool,
    /// The time by which the document in the store is behind.
    document_behind: Duration,
    /// True if the member of another program is in the file.
    has_member: bool,
    measurements: Measurements,
}

/// Starts a fixture with the clients, the product and the script.
pub(super) fn fixture() -> (ClaudeFixture, Bao) {
    let fixture = ClaudeFixture::with_sync(NEWEST).unwrap_or_else(|error| panic!("{error}"));
    let bao = fixture.use_bao().expect("a store");
    fixture.install("script", include_str!("script.sh")).expect("the script");
    (fixture, bao)
}

impl<'fixture> Workstation<'fixture> {
    /// Creates a user with this remedy who has just signed in.
    pub(super) fn new(fixture: &'fixture ClaudeFixture, bao: &'fixture Bao, remedy: Remedy) -> Self {
        let name = remedy.user();
        let user = fixture.create_user(name).expect("a user");
        // The script replaces the document.
        let policy = if remedy == Remedy::Script { Policy::Update } else { Policy::Patch };
        let vault_user = bao.create_user(name, policy);
        user.put_vault_token(&vault_user.token()).expect("a token");
        let mut workstation = Self {
            fixture,
            bao,
            user,
            vault_user,
            remedy,
            watcher: None,
            family: String::new(),
            copies: Default::default(),
            is_lost: false,
            is_sealed: false,
            document_behind: Duration::ZERO,
            has_member: false,
            measurements: Measurements::default(),
        };
        workstation.sign_in();
        workstation.copies = [workstation.file(), workstation.file()];
        workstation
    }

    /// Runs these hours. Returns the measurements.
    pub(super) fn run(mut self, hours: &[Hour], days: u64) -> Measurements {
        let mut now = 0;
        for hour in hours {
            self.wait_until(hour.number, &mut now);
            self.run_hour(hour);
        }
        self.wait_until(days * 24, &mut now);
        self.measurements
    }

    fn run_hour(&mut self, hour: &Hour) {
        if hour.number % 24 == 9 {
            self.copies = [self.file(), std::mem::take(&mut self.copies[0])];
        }
        self.start_watcher();
        let is_offline = hour.incident == Some(Incident::ApiOutage);
        if let Some(incident) = hour.incident {
            self.measurements.log(format!("hour {}: {incident:?}", hour.number));
            self.apply(incident);
        }
        if hour.sync {
            self.sync();
        }
        if hour.claude {
            if hour.login || self.remedy != Remedy::Product {
                self.log_in();
            }
            self.start_claude(hour.number, is_offline);
        }
        if is_offline {
            self.fixture.redirect_servers_to("127.0.0.1").expect("the servers are back");
        }
        self.stop_watcher();
        self.check_member();
    }

    /// Lets the hours until this one pass, and counts those without a usable login.
    fn wait_until(&mut self, hour: u64, now: &mut u64) {
        let passed = hour - *now;
        *now = hour;
        self.measurements.hours += passed;
        if !self.is_usable() {
            self.measurements.hours_logged_out += passed;
        }
        let by = HOUR * u32::try_from(passed).expect("a few hours");
        age_tree(self.user.home(), by).expect("the time of the home");
        for copy in &mut self.copies {
            *copy = age_text(copy, by, cas_tests::now_ms());
        }
        self.fixture.anthropic().age(by);
        self.document_behind += by;
        if !self.is_sealed {
            self.age_document();
        }
    }

    /// Lets the time pass for the document that passed since it could be changed last.
    fn age_document(&mut self) {
        let by = std::mem::take(&mut self.document_behind);
        let fields = self.vault_user.fields();
        if !fields.is_null() {
            let aged = age_text(&fields.to_string(), by, cas_tests::now_ms());
            self.vault_user.put_document(&serde_json::from_str(&aged).expect("a document"));
        }
    }

    fn apply(&mut self, incident: Incident) {
        if matches!(incident, Incident::Torn | Incident::Deleted | Incident::OldCopy) {
            self.has_member = false;
        }
        match incident {
            Incident::Cleared => self.clear(),
            Incident::Torn => {
                let file = self.file();
                let half = file.get(..file.len() / 2).unwrap_or_default();
                self.user.write_credentials_text(half).expect("a torn file");
            }
            // A file that does not exist any more is deleted as well.
            Incident::Deleted => drop(fs::remove_file(self.user.credentials_file())),
            Incident::OldCopy => self.user.write_credentials_text(&self.copies[1]).expect("an old copy"),
            Incident::KilledRefresh => self.kill_a_refresh(),
            Incident::Race => self.start_older_clients(),
            Incident::ApiOutage => self.fixture.redirect_servers_to("127.0.0.2").expect("no server"),
            Incident::StoreOutage => {
                self.bao.seal();
                self.is_sealed = true;
            }
        }
        if incident != Incident::StoreOutage && self.is_sealed {
            self.bao.unseal();
            self.is_sealed = false;
            self.age_document();
        }
        self.wait_for_watcher();
    }

    fn clear(&self) {
        let Ok(mut file) = self.user.credentials() else { return };
        for (name, value) in
            [("accessToken", json!("")), ("refreshToken", json!("")), ("expiresAt", json!(0))]
        {
            file["claudeAiOauth"][name] = value;
        }
        self.user.write_credentials(&file).expect("a cleared file");
    }

    /// Expires the access token, as an hour without a session does.
    fn expire(&self) -> bool {
        let Ok(mut file) = self.user.credentials() else { return false };
        if !self.is_usable() {
            return false;
        }
        file["claudeAiOauth"]["expiresAt"] = json!(in_hours(-1));
        self.fixture.anthropic().expire(&self.family);
        self.user.write_credentials(&file).expect("an expired login");
        self.wait_for_watcher();
        true
    }

    fn kill_a_refresh(&mut self) {
        if !self.expire() {
            return;
        }
        let anthropic = self.fixture.anthropic();
        anthropic.forget_requests();
        let held = anthropic.has_held_refreshes();
        let client = self.user.claude().start().expect("a client");
        let has_asked = anthropic.wait_for(&Deadline::after(LIMIT), |request| request.is_refresh());
        assert!(has_asked, "the client refreshes an expired login");
        client.kill();
        drop(held);
        // The client leaves its locks; the next one waits until they are old.
        self.is_lost = !self.is_usable();
        self.measurements.unavoidable += u32::from(self.is_lost);
    }

    fn start_older_clients(&mut self) {
        if !self.expire() {
            return;
        }
        let clients: Vec<_> = (0..3).map(|_| self.user.older_claude().start().expect("a client")).collect();
        for client in clients {
            client.end(LIMIT).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    fn log_in(&mut self) {
        if self.remedy == Remedy::Product {
            let output = self.user.login().run(LIMIT).unwrap_or_else(|error| panic!("{error}"));
            self.measurements.log(format!("  login: {}{}", output.stdout, output.stderr));
        }
    }

    fn sync(&mut self) {
        let client = self.fixture.client().display().to_string();
        let sync = match self.remedy {
            Remedy::Nothing => return,
            Remedy::Product => self.user.sync(),
            Remedy::Script => {
                let document = format!("{}/v1/{}", self.bao.address(), self.vault_user.path("data"));
                let trust = self.fixture.client().with_file_name("ca.pem").display().to_string();
                let store_trust = self.fixture.client().with_file_name("bao-ca.pem").display().to_string();
                self.user
                    .program("script")
                    .variable("HOME", &self.user.home().display().to_string())
                    .variable("CLAUDE", &client)
                    .variable("NODE_EXTRA_CA_CERTS", &trust)
                    .variable("STORE", &document)
                    .variable("CACERT", &store_trust)
            }
        };
        let output = sync.run(LIMIT).unwrap_or_else(|error| panic!("{error}"));
        self.measurements.log(format!("  sync: {}{}", output.stdout, output.stderr));
    }

    /// Starts `claude` as the user does, and signs in if it demands that.
    fn start_claude(&mut self, hour: u64, is_offline: bool) {
        let output = self.user.claude().run(LIMIT).unwrap_or_else(|error| panic!("{error}"));
        self.measurements.starts += 1;
        if output.answered() || is_offline && !demands_sign_in(&output) {
            return;
        }
        self.measurements.log(format!("  claude at hour {hour}: {output:?}"));
        self.measurements.sign_ins += 1;
        if !self.is_lost {
            self.measurements.avoidable += 1;
            self.measurements.log(format!("  avoidable logout at hour {hour}"));
        }
        self.sign_in();
    }

    fn sign_in(&mut self) {
        let name = self.remedy.user();
        let login: Login = self.fixture.anthropic().sign_in(name, LIFETIME);
        let mut file = self.user.credentials().unwrap_or_else(|_| json!({}));
        file["claudeAiOauth"] = login.oauth_object(in_hours(8));
        let account = Account::personal();
        file["claudeAiOauth"]["accountUuid"] = json!(account.uuid);
        file["claudeAiOauth"]["organizationUuid"] = json!(account.organization);
        file["mcpOAuth"] = member();
        self.user.write_credentials(&file).expect("a login");
        self.family = login.family;
        (self.is_lost, self.has_member) = (false, true);
        self.wait_for_watcher();
    }

    /// Returns true if the file has the login that the server accepts.
    fn is_usable(&self) -> bool {
        let Ok(file) = self.user.credentials() else { return false };
        let token = file["claudeAiOauth"]["refreshToken"].as_str().unwrap_or_default();
        self.fixture.anthropic().accepts_refresh_token(token)
    }

    fn file(&self) -> String {
        self.user.credentials_text().unwrap_or_default()
    }

    /// Counts the member of another program if a repair has lost it. If an incident has, the other
    /// program writes it again.
    fn check_member(&mut self) {
        let Ok(mut file) = self.user.credentials() else { return };
        if file["mcpOAuth"] == member() {
            return;
        }
        self.measurements.lost_members += u32::from(self.has_member);
        file["mcpOAuth"] = member();
        self.user.write_credentials(&file).expect("a member");
        self.has_member = true;
    }

    fn start_watcher(&mut self) {
        if self.remedy == Remedy::Product {
            let watcher = self.user.watch().start().expect("it starts");
            let process = Process::from_pid(watcher.pid());
            process.wait_until_watching(&self.user.home().join(".claude"));
            self.watcher = Some((watcher, process));
        }
    }

    fn wait_for_watcher(&self) {
        if let Some((_, process)) = &self.watcher {
            process.wait_until_idle();
        }
    }

    fn stop_watcher(&mut self) {
        self.wait_for_watcher();
        self.watcher = None;
    }
}

/// The member of another program.
fn member() -> Value {
    json!({"tracker": {"accessToken": "secret-of-another-program"}})
}

fn demands_sign_in(output: &ClientOutput) -> bool {
    let text = format!("{}{}", output.stdout, output.stderr);
    ["Not logged in", "session expired", "/login"].iter().any(|demand| text.contains(demand))
}
