//! `cas-sync provision`: applies the roster to this machine and to Vault. `targets` selects the
//! users, `plan` decides the steps, `apply` executes them, and `token_agent` accesses the token
//! file as the user.

mod adoption;
mod apply;
mod context;
mod plan;
mod records;
mod remains;
mod render;
mod server;
mod targets;
mod token_agent;
mod token_agent_client;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use cas_core::config::StoreKind;
use cas_core::config::{self, Config};
use cas_core::outcome::ExitStatus;
use cas_core::system::account::AccountEntry;
use cas_core::system::identity::Identities;
use cas_core::system::privileges::harden_process;
use cas_protocol::paths::{STATE_DIR, is_valid_user_name};
use cas_vault::{AdminClient, Connection, DocumentLayout, ROLE, Token, parse_token};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use zeroize::Zeroizing;

use self::apply::{Provisioner, TargetUser};
use self::plan::RunContext;
use self::records::Records;
use self::render::{Progress, ProvisionSummary};
use self::server::VaultServer;
use self::targets::OffboardSelection;
use self::token_agent_client::users_with_waiting_agent;
use crate::cli::Provision;
use crate::enrollment::enroll;
use crate::os::deferred_signals::SignalBlock;
use crate::os::environment::{env_var, now};
use crate::roster::{self, Roster, RosterError};
use crate::systemd;
use crate::term::print_line;
use crate::term::stderr::exit_with_error;
use crate::term::stderr::print_stderr;

pub(crate) use self::token_agent::run as run_token_agent;

/// The maximum size of an administrator's token file in bytes.
const MAX_TOKEN_SIZE: u64 = 4096;

/// Applies the roster. Returns the exit status.
pub(crate) fn run(request: &Provision) -> ExitCode {
    let started = Instant::now();
    if let Err(error) = enroll::require_root("provision") {
        return exit_with_error(&error, ExitStatus::Failure);
    }
    // Take the lock before reading the roster, so that a delayed run cannot apply an older roster
    // than a concurrent one.
    let _lock = match acquire_lock(request.dry_run) {
        Ok(Some(lock)) => lock,
        Ok(None) => {
            let busy =
                anyhow::anyhow!("another `cas-sync provision` is running; run this again when it has ended");
            return exit_with_error(&busy, ExitStatus::TryLater);
        }
        Err(error) => return exit_with_error(&error, ExitStatus::Failure),
    };
    let (roster, mut provisioner) =
        match harden_process().map_err(anyhow::Error::from).and_then(|()| load(request)) {
            Ok(prepared) => prepared,
            Err(error) => return exit_with_error(&error, ExitStatus::Misconfigured),
        };
    let signals = match SignalBlock::new().context("cannot block signals") {
        Ok(deferred) => deferred,
        Err(error) => return exit_with_error(&error, ExitStatus::Failure),
    };
    let mut summary = ProvisionSummary { is_dry: request.dry_run, ..ProvisionSummary::default() };
    // Adopt before planning, because the plan refuses names that are bound to another uid.
    for name in &request.adopt {
        match adoption::adopt(name, request.dry_run, &mut provisioner) {
            Ok(done) => summary.remarks.push(done),
            Err(error) => return exit_with_error(&error, ExitStatus::Failure),
        }
    }
    let targets = match select_users(request, &roster, &provisioner) {
        Ok(targets) => targets,
        Err(error) => return exit_with_error(&error, ExitStatus::Misconfigured),
    };
    let mut progress = Progress::new(targets.len());
    let mut is_outage_logged = false;
    for (index, target) in targets.iter().enumerate() {
        if signals.take_pending() {
            summary.interrupted_before = Some(targets.len() - index);
            break;
        }
        progress.show(index);
        let outcome = provisioner.provision_user(target);
        if !request.dry_run {
            outcome.log_to_journal(is_outage_logged);
        }
        is_outage_logged |= provisioner.outage().is_some() && outcome.is_outage();
        summary.results.push(outcome);
        if provisioner.enrolled.len() == systemd::BATCH_SIZE {
            start_units(&mut provisioner, &mut summary);
        }
    }
    start_units(&mut provisioner, &mut summary);
    progress.clear();
    if request.dry_run && summary.would_mint() {
        summary.remarks.push("The missing role and policies would be created. The administrator token was looked up, but not tested.".into());
    }
    summary.requests = provisioner.server.as_ref().map_or(0, VaultServer::requests);
    summary.elapsed = started.elapsed();
    if request.json {
        summary.print_json();
    } else {
        summary.print_text();
    }
    summary.exit_status().into()
}

/// Prints the policies and the token role for an administrator who configures Vault manually.
pub(crate) fn print_policy(only: &[String]) -> ExitCode {
    let layout = Config::load(Path::new(config::CONFIG_DIR))
        .context("cannot load the configuration")
        .and_then(|(config, _)| Ok(DocumentLayout::from_settings(&config.vault)?));
    let layout = match layout {
        Ok(layout) => layout,
        Err(error) => return exit_with_error(&error, ExitStatus::Misconfigured),
    };
    let users = if only.is_empty() { &["USER".to_owned()][..] } else { only };
    for user in users {
        // Keep the placeholder in upper case; `policy_name` would convert it to lower case.
        let name = match only.is_empty() {
            true => "workstation-claude-USER".to_owned(),
            false => layout.policy_name(user),
        };
        print_line(&format!("# ---- policy {name}\n{}", layout.user_policy(user)));
    }
    print_line(&format!(
        "# ---- policy of an administrator token for `cas-sync provision`\n{}",
        layout.provisioner_policy()
    ));
    print_line(&format!("# ---- auth/token/roles/{ROLE}\n{}", layout.token_role()));
    ExitCode::SUCCESS
}

fn load(request: &Provision) -> Result<(Roster, Provisioner)> {
    let path = &request.roster;
    let text = config::read_admin_file(path).map_err(|why| RosterError::for_file(path, why))?;
    let names_users =
        !request.adopt.is_empty() || request.offboard.as_ref().is_some_and(|all| !all.is_empty());
    let roster = match text {
        Some(text) => roster::parse(&text, path)?,
        // Users who were enrolled manually need no roster.
        None if names_users => Roster::default(),
        None => {
            let why = "it does not exist; /usr/share/doc/claude-auth-sync/examples/roster.yaml is an example";
            return Err(RosterError::for_file(path, why).into());
        }
    };
    let (config, config_warnings) = Config::load(Path::new(config::CONFIG_DIR))?;
    for warning in config_warnings {
        print_stderr(&warning);
    }
    let admin = read_admin_token(request).context("cannot read the administrator token")?;
    let now_ms = now().millis();
    let mut server = match config.store {
        StoreKind::Local => None,
        StoreKind::Vault => Some(VaultServer::new(open_admin_client(&config)?, admin, now_ms)),
    };
    let context = RunContext {
        now_ms,
        host: nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default(),
        document_location: server
            .as_ref()
            .map(|server| server.document_location(&config))
            .unwrap_or_default(),
        admin_unavailable: server.as_mut().and_then(VaultServer::admin_unavailable_reason),
        rewrite_policies: request.rewrite_policies,
    };
    let provisioner = Provisioner {
        server,
        context,
        records: Records::new(&Path::new(STATE_DIR).join("provisioned")),
        is_dry: request.dry_run,
        enrolled: Vec::new(),
        has_slow_home: false,
        waiting_agents: users_with_waiting_agent(),
    };
    Ok((roster, provisioner))
}

fn open_admin_client(config: &Config) -> Result<AdminClient> {
    let config_path = || format!("{}/config.toml", config::CONFIG_DIR);
    let server =
        Connection::from_settings(&config.vault).map_err(anyhow::Error::msg).with_context(config_path)?;
    let layout = DocumentLayout::from_settings(&config.vault).with_context(config_path)?;
    // User sessions read only the configuration file. They cannot use a token of another server or
    // namespace.
    if let Some(other) = env_var("VAULT_NAMESPACE").filter(|name| !name.is_empty()) {
        let configured = server.namespace.as_ref().map(ToString::to_string).unwrap_or_default();
        ensure!(
            other.trim_matches('/') == configured,
            "VAULT_NAMESPACE is {other}, but vault.namespace in the configuration is {configured:?}; unset the variable, or correct the configuration"
        );
    }
    if let Some(other) = env_var("VAULT_ADDR").filter(|address| !address.is_empty()) {
        ensure!(
            other.trim_end_matches('/') == server.address.to_string(),
            "VAULT_ADDR is {other}, but vault.address in the configuration is {}; unset the variable, or correct the configuration",
            server.address
        );
    }
    Ok(AdminClient::new(server, layout))
}

/// Reads the token from the named file, or from the environment if no file is named.
fn read_admin_token(request: &Provision) -> Result<Option<Token>> {
    let mut text = Zeroizing::new(Vec::new());
    match request.admin_token_file.as_deref() {
        Some(path) if path == Path::new("-") => {
            io::stdin().take(MAX_TOKEN_SIZE).read_to_end(&mut text)?;
        }
        Some(path) => {
            let file = File::open(path).with_context(|| path.display().to_string())?;
            file.take(MAX_TOKEN_SIZE).read_to_end(&mut text).with_context(|| path.display().to_string())?;
        }
        None => match env_var("VAULT_TOKEN").filter(|token| !token.is_empty()) {
            Some(token) => *text = token.into_bytes(),
            None => return Ok(None),
        },
    }
    parse_token(&text).map(Some).context("it is not one line with one token")
}

/// Takes the provisioning lock, because two concurrent runs would mint two tokens for one user.
/// Returns None if another run holds it. Anyone who can open the file can hold the lock, so its
/// mode restricts it to root for every umask.
fn acquire_lock(is_dry: bool) -> Result<Option<Option<Flock<File>>>> {
    if is_dry {
        return Ok(Some(None));
    }
    enroll::create_state_directory()?;
    let path = Path::new(STATE_DIR).join("provision.lock");
    let context = || path.display().to_string();
    let mut options = fs::OpenOptions::new();
    let file =
        options.create(true).truncate(false).write(true).mode(0o600).open(&path).with_context(context)?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).with_context(context)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(Some(lock))),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno).with_context(context),
    }
}

fn select_users(request: &Provision, roster: &Roster, provisioner: &Provisioner) -> Result<Vec<TargetUser>> {
    let account = |name: &str| AccountEntry::from_name(name).map_err(|error| error.to_string());
    let identities = Identities::open();
    let binding = |account: &AccountEntry| identities.check(account).err().map(|error| error.to_string());
    let layout = provisioner.server.as_ref().map(VaultServer::layout);
    let names = request.offboard.clone().unwrap_or_default();
    for name in &names {
        ensure!(is_valid_user_name(name.as_bytes()), "{name:?} is not a valid user name");
        let entry = roster.users.get(name).filter(|entry| entry.is_enabled());
        ensure!(
            entry.is_none(),
            "{name} is listed in {}; remove that line first, or write `claude_auth: false` below the name",
            request.roster.display()
        );
    }
    let offboard = OffboardSelection {
        all: request.offboard.as_ref().is_some_and(Vec::is_empty),
        is_delete: request.delete_document,
        names,
    };
    let targets = targets::select_targets(
        roster,
        &provisioner.records.list_names()?,
        account,
        binding,
        enroll::has_enrollment_artifacts,
        layout,
        &offboard,
    );
    let mut requested: Vec<&String> = request.user.iter().chain(&offboard.names).collect();
    requested.extend(request.adopt.iter().filter(|name| roster.users.contains_key(*name)));
    for name in &request.user {
        let is_known = targets.iter().any(|target| target.name == *name);
        ensure!(
            is_known,
            "{name} is neither listed in {} nor provisioned by an earlier roster",
            request.roster.display()
        );
    }
    let is_limited = !requested.is_empty() || !request.adopt.is_empty();
    let is_chosen = |target: &TargetUser| !is_limited || requested.contains(&&target.name);
    Ok(targets.into_iter().filter(is_chosen).collect())
}

/// Starts the units of the newly enrolled users in one batch, because systemd reloads all units for
/// each call.
fn start_units(provisioner: &mut Provisioner, summary: &mut ProvisionSummary) {
    let enrolled = std::mem::take(&mut provisioner.enrolled);
    let users: Vec<_> = enrolled.iter().map(String::as_str).collect();
    if users.is_empty() {
        return;
    }
    match systemd::start(&users, true)
        .and_then(|started| provisioner.records.mark_started(&users).map(|()| started))
    {
        Ok(started) => summary.remarks.extend(started.remarks),
        Err(error) => summary.units_failed.push(format!("cannot start all units: {error:#}; run this again")),
    }
    summary.remarks.sort();
    summary.remarks.dedup();
}
