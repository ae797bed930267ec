//! Output of a run: one line for each user with a change or a problem, a summary or JSON, and one
//! journal message for each such user.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use cas_core::outcome::{ExitStatus, Status};
use cas_core::store::StoreError;
use cas_core::system::syslog;
use cas_core::text::sanitize_line;
use serde_json::{Value, json};

use super::apply::UserResult;
use super::plan::{Offboarding, ProvisionResult, Step};
use crate::os::environment::env_var;
use crate::term::json;
use crate::term::wrap::{terminal_width, width, wrap_for};

/// The number of users from which the progress is shown.
const MIN_USERS_FOR_PROGRESS: usize = 20;

/// The results of one run.
#[derive(Default)]
pub(super) struct ProvisionSummary {
    pub(super) results: Vec<UserResult>,
    pub(super) is_dry: bool,
    pub(super) requests: u64,
    pub(super) elapsed: Duration,
    /// The number of remaining users if a signal interrupted the run.
    pub(super) interrupted_before: Option<usize>,
    /// Further remarks for the administrator.
    pub(super) remarks: Vec<String>,
    /// Why some units were not started.
    pub(super) units_failed: Vec<String>,
}

impl ProvisionSummary {
    /// Prints the results as text to stdout.
    pub(super) fn print_text(&self) {
        let out = io::stdout();
        let print_line = |text: &str| drop(writeln!(out.lock(), "{}", wrap_for(&out, text)));
        for outcome in &self.results {
            if let Some(text) = outcome.describe(self.is_dry) {
                print_line(&format!("{}: {text}", outcome.name));
            }
        }
        if let Some(remaining) = self.interrupted_before {
            print_line(&format!("interrupted: {remaining} users were not provisioned; run this again"));
        }
        self.remarks.iter().chain(&self.units_failed).for_each(|remark| print_line(remark));
        // Print one line if it fits, otherwise two.
        let [what, cost] = self.format_summary();
        let fits = terminal_width(&out).is_none_or(|columns| width(&what) + 1 + width(&cost) <= columns);
        print_line(&format!("{what}{}{cost}", if fits { " " } else { "\n  " }));
    }

    /// Prints the results as JSON to stdout.
    pub(super) fn print_json(&self) {
        let users: Vec<Value> = self.results.iter().map(|outcome| self.to_json(outcome)).collect();
        json::print(&json!({
            "dry_run": self.is_dry,
            "users": users,
            "requests": self.requests,
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            "interrupted_before": self.interrupted_before,
            "remarks": self.remarks,
            "units_failed": self.units_failed,
            "exit_code": self.exit_status(),
        }));
    }

    /// Returns true if the run minted, or would mint, a token.
    pub(super) fn would_mint(&self) -> bool {
        self.results.iter().any(|outcome| outcome.steps.iter().any(|step| matches!(step, Step::Mint(_))))
    }

    /// Returns the exit status of the most severe result, as `--help` lists them.
    pub(super) fn exit_status(&self) -> ExitStatus {
        let rank = |status: &ExitStatus| match status {
            ExitStatus::Misconfigured => 4,
            ExitStatus::Failure => 3,
            ExitStatus::Refused => 2,
            ExitStatus::TryLater => 1,
            _ => 0,
        };
        let units = ExitStatus::failure_if(!self.units_failed.is_empty());
        let interruption = self.interrupted_before.map_or(ExitStatus::Success, |_| ExitStatus::TryLater);
        let users = self.results.iter().map(|outcome| exit_status_for(&outcome.result));
        users.chain([units, interruption]).max_by_key(rank).unwrap_or(ExitStatus::Success)
    }

    fn to_json(&self, outcome: &UserResult) -> Value {
        let steps: Vec<_> = outcome.steps.iter().map(step_name).collect();
        let (result, text) = match &outcome.result {
            ProvisionResult::Ok => ("ok", None),
            ProvisionResult::PolicyTooBroad(what) => ("policy-too-broad", Some(what.join(", "))),
            ProvisionResult::Skipped(why) => ("skipped", Some(why.clone())),
            ProvisionResult::RemovalVetoed(why) => ("removal-vetoed", Some(why.clone())),
            ProvisionResult::NeedsAdmin(what) => ("needs-admin", Some(what.clone())),
            ProvisionResult::Failed(failure) => ("failed", Some(failure.to_string())),
        };
        json!({ "user": outcome.name, "steps": steps, "result": result, "text": text, "warnings": outcome.warnings, "remains": outcome.remains })
    }

    /// Returns the counts of the results, and the number of requests with the elapsed time.
    fn format_summary(&self) -> [String; 2] {
        let count = |matches: fn(&ProvisionResult) -> bool| {
            self.results.iter().filter(|outcome| matches(&outcome.result)).count()
        };
        let changes = |step: &Step| !matches!(step, Step::CheckPolicy | Step::Done(_));
        let changed = self.results.iter().filter(|outcome| outcome.steps.iter().any(changes)).count();
        let mut parts = vec![match (self.is_dry, changed) {
            (true, 0) => "nothing would be changed".to_owned(),
            (true, _) => format!("{changed} would be changed"),
            (false, 0) => "nothing was changed".to_owned(),
            (false, _) => format!("{changed} changed"),
        }];
        let mut more = |count: usize, what: &str| {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        };
        more(count(|result| matches!(result, ProvisionResult::Skipped(_))), "skipped");
        more(count(|result| matches!(result, ProvisionResult::RemovalVetoed(_))), "not unenrolled");
        more(
            count(|result| matches!(result, ProvisionResult::NeedsAdmin(_))),
            "waiting for an administrator",
        );
        more(
            count(|result| matches!(result, ProvisionResult::PolicyTooBroad(_))),
            "with a policy that is too broad",
        );
        more(count(|result| matches!(result, ProvisionResult::Failed(_))), "failed");
        let users = format_count(self.results.len() as u64, "user", "users");
        let cost = format_count(self.requests, "request", "requests");
        let what = format!("{users}: {}", parts.join(", "));
        [what, format!("({cost} to the store, {:.1} s)", self.elapsed.as_secs_f64())]
    }
}

impl UserResult {
    /// Writes the result to the journal. Skips users without a change or a problem, and outages
    /// that are logged already.
    pub(super) fn log_to_journal(&self, is_outage_logged: bool) {
        if self.is_outage() && is_outage_logged {
            return;
        }
        if let Some(text) = self.describe(false) {
            let status = if self.result == ProvisionResult::Ok { Status::Ok } else { Status::Warn };
            syslog::log_message(&self.name, status, &format!("provisioning: {text}"));
        }
    }

    /// Returns true if Vault did not answer.
    pub(super) fn is_outage(&self) -> bool {
        matches!(
            self.result,
            ProvisionResult::Failed(StoreError::Busy { .. } | StoreError::Unreachable { .. })
        )
    }

    /// Returns None if nothing changed and there is no problem.
    fn describe(&self, is_dry: bool) -> Option<String> {
        let done: Vec<_> = self.steps.iter().filter_map(|step| describe_step(step, is_dry)).collect();
        let problem = match &self.result {
            ProvisionResult::Ok => None,
            ProvisionResult::PolicyTooBroad(what) => Some(format!(
                "the token can {}; run `cas-sync provision --rewrite-policies` with an administrator token",
                what.join(" and ")
            )),
            ProvisionResult::Skipped(why) => Some(format!("skipped: {why}")),
            ProvisionResult::RemovalVetoed(why) => Some(format!("not unenrolled: {why}")),
            ProvisionResult::NeedsAdmin(what) => Some(format!("waits for an administrator: {what}")),
            ProvisionResult::Failed(failure) => Some(failure.to_string()),
        };
        let warned = self.warnings.iter().map(|warning| format!("Vault warns: {warning}"));
        let remains = (!self.remains.is_empty()).then(|| format!("remaining: {}", self.remains.join(", ")));
        let parts: Vec<_> = done.into_iter().chain(problem).chain(warned).chain(remains).collect();
        (!parts.is_empty()).then(|| sanitize_line(&parts.join("; ")))
    }
}

/// Returns the text for a step. Returns None for a policy check, because only its failure is
/// reported.
fn describe_step(step: &Step, is_dry: bool) -> Option<String> {
    let (would, did) = match step {
        Step::Renew => ("renew the token", "renewed the token"),
        Step::Mint(why) => {
            let verb = if is_dry { "mint" } else { "minted" };
            return Some(format!("{verb} a token ({why})"));
        }
        Step::RewritePolicy => ("replace the policy", "replaced the policy"),
        Step::Enroll => ("enroll", "enrolled"),
        Step::Unenroll => ("unenroll", "unenrolled"),
        Step::Offboard(Offboarding::Mark) => {
            ("mark the document as offboarded", "marked the document as offboarded")
        }
        Step::Offboard(Offboarding::Delete) => ("delete the document", "deleted the document"),
        Step::Revoke => ("revoke the former token", "revoked the former token"),
        Step::CheckPolicy | Step::Done(_) => return None,
    };
    Some(if is_dry { would } else { did }.to_owned())
}

fn format_count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn exit_status_for(result: &ProvisionResult) -> ExitStatus {
    match result {
        ProvisionResult::Ok => ExitStatus::Success,
        ProvisionResult::Skipped(_) | ProvisionResult::RemovalVetoed(_) => ExitStatus::Failure,
        ProvisionResult::PolicyTooBroad(_) | ProvisionResult::NeedsAdmin(_) => ExitStatus::Refused,
        ProvisionResult::Failed(failure) => failure.into(),
    }
}

fn step_name(step: &Step) -> &'static str {
    match step {
        Step::Renew => "renew",
        Step::Mint(_) => "mint",
        Step::CheckPolicy => "check-policy",
        Step::RewritePolicy => "rewrite-policy",
        Step::Enroll => "enroll",
        Step::Unenroll => "unenroll",
        Step::Offboard(Offboarding::Mark) => "mark-document",
        Step::Offboard(Offboarding::Delete) => "delete-document",
        Step::Revoke => "revoke",
        Step::Done(_) => "done",
    }
}

/// Progress of a long run on stderr: one line that is overwritten on a capable terminal, otherwise
/// an occasional line.
pub(super) struct Progress {
    total: usize,
    is_interactive: bool,
    last_shown: Instant,
}

impl Progress {
    pub(super) fn new(total: usize) -> Self {
        let is_dumb = env_var("TERM").is_none_or(|terminal| terminal.is_empty() || terminal == "dumb");
        Self { total, is_interactive: io::stderr().is_terminal() && !is_dumb, last_shown: Instant::now() }
    }

    /// Shows that `count` users are done.
    pub(super) fn show(&mut self, count: usize) {
        let interval = Duration::from_millis(if self.is_interactive { 100 } else { 10_000 });
        if self.total < MIN_USERS_FOR_PROGRESS || self.last_shown.elapsed() < interval {
            return;
        }
        self.last_shown = Instant::now();
        let mut out = io::stderr();
        drop(match self.is_interactive {
            true => write!(out, "\r{count} of {} users", self.total),
            false => writeln!(out, "cas-sync: {count} of {} users", self.total),
        });
    }

    /// Overwrites the line with blanks, because some terminals do not support escape sequences.
    pub(super) fn clear(&self) {
        if self.is_interactive && self.total >= MIN_USERS_FOR_PROGRESS {
            let widest = format!("{0} of {0} users", self.total).len();
            eprint!("\r{:widest$}\r", "");
        }
    }
}
