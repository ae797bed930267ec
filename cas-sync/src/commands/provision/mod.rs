//! `cas-sync provision`: makes this machine and the server what the roster says. Who is to be served is decided in `people`,
//! what for each of them in `plan`; `apply` does it, `custodian` as the person whose home it is.

mod apply;
mod context;
mod plan;
mod records;
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
use cas_core::system::account::Account;
use cas_protocol::paths::STATE_DIR;
use cas_vault::{AdminClient, Connection, DocumentLayout, ROLE, Token, parse_token};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use zeroize::Zeroizing;

use self::apply::{Person, Provisioner};
use self::plan::RunContext;
use self::records::Records;
use self::render::{Progress, Summary};
use self::server::VaultServer;
use crate::cli::Provision;
use crate::enrollment::enroll;
use crate::os::deferred_signals::SignalBlock;
use crate::os::environment::{env_var, harden_process, now};
use crate::roster::{self, Roster, RosterError};
use crate::systemd;
use crate::term::stderr::exit_with_error;
use crate::term::stderr::print_stderr;

pub(crate) use self::token_agent::run as keep_vault_token;

const CONFIGURATION: u8 = 78;
const LATER: u8 = 75;
/// The longest token file of an admin in bytes.
const LONGEST_TOKEN: u64 = 4096;

/// Provisions.
pub(crate) fn run(request: &Provision) -> ExitCode {
    let started = Instant::now();
    if let Err(error) = enroll::require_root("provision") {
        return exit_with_error(&error, 1);
    }
    // Before the roster is read: whoever waited for an answer meanwhile would go by an older one than who came after.
    let _alone = match acquire_lock(request.dry_run) {
        Ok(Some(lock)) => lock,
        Ok(None) => {
            let busy =
                anyhow::anyhow!("another `cas-sync provision` is at work; run this again when it has ended");
            return exit_with_error(&busy, LATER);
        }
        Err(error) => return exit_with_error(&error, 1),
    };
    let (roster, mut work) = match harden_process().and_then(|()| load(request)) {
        Ok(prepared) => prepared,
        Err(error) => return exit_with_error(&error, CONFIGURATION),
    };
    let asked_to_end = match SignalBlock::new().context("signals cannot be held back") {
        Ok(deferred) => deferred,
        Err(error) => return exit_with_error(&error, 1),
    };
    let people = match select_users(request, &roster, &work) {
        Ok(people) => people,
        Err(error) => return exit_with_error(&error, CONFIGURATION),
    };
    let mut told = Summary { is_dry: request.dry_run, ..Summary::default() };
    let mut progress = Progress::of(people.len());
    let mut outage_is_told = false;
    for (index, person) in people.iter().enumerate() {
        if asked_to_end.take_pending() {
            told.interrupted_before = Some(people.len() - index);
            break;
        }
        progress.show(index);
        let served = work.provision_user(person);
        if !request.dry_run {
            served.to_journal(outage_is_told);
        }
        outage_is_told |= work.outage().is_some() && served.is_outage();
        told.people.push(served);
        if work.enrolled.len() == systemd::BATCH_SIZE {
            start_units(&mut work, &mut told);
        }
    }
    start_units(&mut work, &mut told);
    progress.end();
    if request.dry_run && told.would_mint() {
        told.remarks.push("The role and the policies that are missing would be created. The admin's token was looked up, not tried.".into());
    }
    told.requests = work.server.as_ref().map_or(0, VaultServer::requests);
    told.took = started.elapsed();
    if request.json {
        told.print_json();
    } else {
        told.print_text();
    }
    ExitCode::from(told.exit_code())
}

/// Prints what a server has to know, for an admin who sets it up by hand.
pub(crate) fn print_policy(only: &[String]) -> ExitCode {
    let layout = Config::load(Path::new(config::CONFIG_DIR))
        .context("the configuration cannot be used")
        .and_then(|(config, _)| Ok(DocumentLayout::configured(&config.vault)?));
    let layout = match layout {
        Ok(layout) => layout,
        Err(error) => return exit_with_error(&error, CONFIGURATION),
    };
    let people = if only.is_empty() { &["USER".to_owned()][..] } else { only };
    for user in people {
        // The placeholder stays as it is; of a name the server keeps small letters.
        let name = match only.is_empty() {
            true => "workstation-claude-USER".to_owned(),
            false => layout.policy_name(user),
        };
        println!("# ---- policy {name}\n{}", layout.user_policy(user));
    }
    println!("# ---- policy of an admin's token for `cas-sync provision`\n{}", layout.provisioner_policy());
    println!("# ---- auth/token/roles/{ROLE}\n{}", layout.token_role());
    ExitCode::SUCCESS
}

fn load(request: &Provision) -> Result<(Roster, Provisioner)> {
    let path = &request.roster;
    let text = config::read_admin_file(path).map_err(|why| RosterError::of_file(path, why))?;
    let text = text.ok_or_else(|| {
        RosterError::of_file(
            path,
            "there is no roster; /usr/share/doc/claude-auth-sync/examples/roster.yaml is one to start from",
        )
    })?;
    let roster = roster::parse(&text, path)?;
    let (config, misunderstood) = Config::load(Path::new(config::CONFIG_DIR))?;
    for what in misunderstood {
        print_stderr(&what);
    }
    let admin = admin_token(request).context("the admin's token")?;
    let now_ms = now().millis();
    let mut server = match config.store {
        StoreKind::Local => None,
        StoreKind::Vault => Some(VaultServer::with(administration(&config)?, admin, now_ms)),
    };
    let means = RunContext {
        now_ms,
        host: nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default(),
        place: server.as_ref().map(|server| server.place(&config)).unwrap_or_default(),
        no_admin: server.as_mut().and_then(VaultServer::admin_unavailable_reason),
        rewrite_policies: request.rewrite_policies,
    };
    let work = Provisioner {
        server,
        means,
        records: Records::at(&Path::new(STATE_DIR).join("provisioned")),
        is_dry: request.dry_run,
        enrolled: Vec::new(),
        a_home_was_slow: false,
    };
    Ok((roster, work))
}

fn administration(config: &Config) -> Result<AdminClient> {
    let place = || format!("{}/config.toml", config::CONFIG_DIR);
    let server = Connection::from_settings(&config.vault).map_err(anyhow::Error::msg).with_context(place)?;
    let layout = DocumentLayout::configured(&config.vault).with_context(place)?;
    // People's logins know the configuration alone; a token of another server, or namespace, would be of no use to them.
    if let Some(other) = env_var("VAULT_NAMESPACE").filter(|name| !name.is_empty()) {
        let configured = server.namespace.as_ref().map(ToString::to_string).unwrap_or_default();
        ensure!(
            other.trim_matches('/') == configured,
            "VAULT_NAMESPACE is {other}, but the configuration says {configured:?}: unset the one, or correct the other"
        );
    }
    if let Some(other) = env_var("VAULT_ADDR").filter(|address| !address.is_empty()) {
        ensure!(
            other.trim_end_matches('/') == server.address.to_string(),
            "VAULT_ADDR is {other}, but the configuration says {}: unset the one, or correct the other",
            server.address
        );
    }
    Ok(AdminClient::new(server, layout))
}

/// From the file that was named, or else from the environment.
fn admin_token(request: &Provision) -> Result<Option<Token>> {
    let mut text = Zeroizing::new(Vec::new());
    match request.admin_token_file.as_deref() {
        Some(path) if path == Path::new("-") => {
            io::stdin().take(LONGEST_TOKEN).read_to_end(&mut text)?;
        }
        Some(path) => {
            let file = File::open(path).with_context(|| path.display().to_string())?;
            file.take(LONGEST_TOKEN).read_to_end(&mut text).with_context(|| path.display().to_string())?;
        }
        None => match env_var("VAULT_TOKEN").filter(|token| !token.is_empty()) {
            Some(token) => *text = token.into_bytes(),
            None => return Ok(None),
        },
    }
    parse_token(&text).map(Some).context("this is not one line with one token")
}

/// Two at once would mint two tokens for one person. Whoever can open the lock can hold it, so root alone can, whatever the
/// umask. None while another is at work.
fn acquire_lock(is_dry: bool) -> Result<Option<Option<Flock<File>>>> {
    if is_dry {
        return Ok(Some(None));
    }
    enroll::make_state_directory()?;
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

fn select_users(request: &Provision, roster: &Roster, work: &Provisioner) -> Result<Vec<Person>> {
    let account = |name: &str| Account::from_name(name).map_err(|error| error.to_string());
    let layout = work.server.as_ref().map(VaultServer::layout);
    let people = targets::everybody(
        roster,
        &work.records.names()?,
        account,
        enroll::has_enrollment_artifacts,
        layout,
        request.offboard,
    );
    for name in &request.user {
        let is_known = people.iter().any(|person| person.name == *name);
        ensure!(
            is_known,
            "{name} is neither in {} nor provisioned by an earlier one",
            request.roster.display()
        );
    }
    let is_chosen = |person: &Person| request.user.is_empty() || request.user.contains(&person.name);
    Ok(people.into_iter().filter(is_chosen).collect())
}

/// Starts what runs by itself for those who are new. Not for each alone: systemd reads all units again every time.
fn start_units(work: &mut Provisioner, told: &mut Summary) {
    let enrolled = std::mem::take(&mut work.enrolled);
    let people: Vec<_> = enrolled.iter().map(String::as_str).collect();
    if people.is_empty() {
        return;
    }
    match systemd::start(&people, true).and_then(|change| work.records.mark_started(&people).map(|()| change))
    {
        Ok(change) => told.remarks.extend(change.remarks),
        Err(error) => told.units_failed.push(format!("not all units run: {error:#}; run this again")),
    }
    told.remarks.sort();
    told.remarks.dedup();
}
