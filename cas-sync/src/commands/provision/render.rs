//! What is said of a run: a line for each person for whom something was done or is amiss, a summary, or JSON; and a line in
//! the journal, where whoever looks after a person looks.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use cas_core::outcome::Status;
use cas_core::store::StoreError;
use cas_core::system::syslog;
use cas_core::text::sanitize_line;
use serde_json::{Value, json};

use super::apply::UserResult;
use super::plan::{ProvisionResult, Step};
use crate::os::environment::env_var;
use crate::term::wrap::{terminal_width, width, wrap_for};
use crate::user::error::store_exit_code;

/// The version of the JSON; members may be added to it, and none changes its meaning or goes.
const SCHEMA: u32 = 1;
/// From so many people on it is shown how far a run has come.
const MANY: usize = 20;

/// How a run went.
#[derive(Default)]
pub(super) struct Summary {
    pub(super) people: Vec<UserResult>,
    pub(super) is_dry: bool,
    pub(super) requests: u64,
    pub(super) took: Duration,
    /// How many people were left when the run was asked to end, if it was.
    pub(super) interrupted_before: Option<usize>,
    /// What else an admin should know.
    pub(super) remarks: Vec<String>,
    /// Why not everything runs that is to run by itself.
    pub(super) units_failed: Vec<String>,
}

impl Summary {
    /// For people, on the standard output.
    pub(super) fn print_text(&self) {
        let out = io::stdout();
        let say = |text: &str| drop(writeln!(out.lock(), "{}", wrap_for(&out, text)));
        for served in &self.people {
            if let Some(text) = served.line(self.is_dry) {
                say(&format!("{}: {text}", served.name));
            }
        }
        if let Some(rest) = self.interrupted_before {
            say(&format!("asked to end: {rest} people were not looked at; run this again"));
        }
        self.remarks.iter().chain(&self.units_failed).for_each(|remark| say(remark));
        // On one line, or each on its own.
        let [what, cost] = self.summary();
        let fits = terminal_width(&out).is_none_or(|columns| width(&what) + 1 + width(&cost) <= columns);
        say(&format!("{what}{}{cost}", if fits { " " } else { "\n  " }));
    }

    /// For programs, on the standard output.
    pub(super) fn print_json(&self) {
        let people: Vec<Value> = self.people.iter().map(|served| self.json_of(served)).collect();
        let told = json!({
            "schema": SCHEMA,
            "dry_run": self.is_dry,
            "people": people,
            "requests": self.requests,
            "milliseconds": u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            "interrupted_before": self.interrupted_before,
            "remarks": self.remarks,
            "units_failed": self.units_failed,
            "exit_code": self.exit_code(),
        });
        drop(writeln!(io::stdout(), "{told}"));
    }

    /// Whether a token is, or would be, minted for anybody.
    pub(super) fn would_mint(&self) -> bool {
        self.people.iter().any(|served| served.steps.iter().any(|step| matches!(step, Step::Mint(_))))
    }

    /// The worst of all endings, as the help describes it.
    pub(super) fn exit_code(&self) -> u8 {
        let rank = |code: &u8| match code {
            78 => 4,
            1 => 3,
            77 => 2,
            75 => 1,
            _ => 0,
        };
        let of_units = u8::from(!self.units_failed.is_empty());
        let of_interruption = if self.interrupted_before.is_some() { 75 } else { 0 };
        let of_people = self.people.iter().map(|served| code(&served.ending));
        of_people.chain([of_units, of_interruption]).max_by_key(rank).unwrap_or(0)
    }

    fn json_of(&self, served: &UserResult) -> Value {
        let steps: Vec<_> = served.steps.iter().map(word).collect();
        let (ending, text) = match &served.ending {
            ProvisionResult::Ok => ("well", None),
            ProvisionResult::PolicyTooBroad(what) => ("too-wide", Some(what.join(", "))),
            ProvisionResult::Skipped(why) => ("skipped", Some(why.clone())),
            ProvisionResult::RemovalVetoed(why) => ("kept", Some(why.clone())),
            ProvisionResult::NeedsAdmin(what) => ("waits-for-admin", Some(what.clone())),
            ProvisionResult::Failed(failure) => ("failed", Some(failure.to_string())),
        };
        json!({ "user": served.name, "steps": steps, "ending": ending, "text": text, "warnings": served.warnings })
    }

    /// What came of it, and what it took.
    fn summary(&self) -> [String; 2] {
        let count = |matches: fn(&ProvisionResult) -> bool| {
            self.people.iter().filter(|served| matches(&served.ending)).count()
        };
        let changes = |step: &Step| !matches!(step, Step::Prove | Step::Done(_));
        let changed = self.people.iter().filter(|served| served.steps.iter().any(changes)).count();
        let mut parts = vec![match (self.is_dry, changed) {
            (true, 0) => "nothing would be changed".to_owned(),
            (true, _) => format!("{changed} would be changed"),
            (false, 0) => "nothing had to be changed".to_owned(),
            (false, _) => format!("{changed} changed"),
        }];
        let mut more = |count: usize, what: &str| {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        };
        more(count(|ending| matches!(ending, ProvisionResult::Skipped(_))), "left out");
        more(count(|ending| matches!(ending, ProvisionResult::RemovalVetoed(_))), "kept in doubt");
        more(count(|ending| matches!(ending, ProvisionResult::NeedsAdmin(_))), "waiting for an admin");
        more(
            count(|ending| matches!(ending, ProvisionResult::PolicyTooBroad(_))),
            "with a policy that is too wide",
        );
        more(count(|ending| matches!(ending, ProvisionResult::Failed(_))), "not finished");
        let people = counted(self.people.len() as u64, "person", "people");
        let cost = counted(self.requests, "request", "requests");
        let what = format!("{people}: {}", parts.join(", "));
        [what, format!("({cost} to the store, {:.1} s)", self.took.as_secs_f64())]
    }
}

impl UserResult {
    /// In the journal: nothing of those for whom nothing was to be done, and of an outage that is told already.
    pub(super) fn to_journal(&self, outage_is_told: bool) {
        if self.is_outage() && outage_is_told {
            return;
        }
        if let Some(text) = self.line(false) {
            let status = if self.ending == ProvisionResult::Ok { Status::Ok } else { Status::Warn };
            syslog::log_message(&self.name, status, &format!("provisioning: {text}"));
        }
    }

    /// Whether it was the server that did not answer.
    pub(super) fn is_outage(&self) -> bool {
        matches!(
            self.ending,
            ProvisionResult::Failed(StoreError::Busy { .. } | StoreError::Unreachable { .. })
        )
    }

    /// None for somebody for whom nothing was to be done, and who is well.
    fn line(&self, is_dry: bool) -> Option<String> {
        let done: Vec<_> = self.steps.iter().filter_map(|step| words(step, is_dry)).collect();
        let problem = match &self.ending {
            ProvisionResult::Ok => None,
            ProvisionResult::PolicyTooBroad(what) => Some(format!(
                "their token may {}: `cas-sync provision --rewrite-policies` with an admin's token forbids it",
                what.join(" and ")
            )),
            ProvisionResult::Skipped(why) => Some(format!("left out: {why}")),
            ProvisionResult::RemovalVetoed(why) => Some(format!("kept as they are: {why}")),
            ProvisionResult::NeedsAdmin(what) => Some(format!("waits for an admin: {what}")),
            ProvisionResult::Failed(failure) => Some(failure.to_string()),
        };
        let warned = self.warnings.iter().map(|words| format!("the server remarks: {words}"));
        let parts: Vec<_> = done.into_iter().chain(problem).chain(warned).collect();
        (!parts.is_empty()).then(|| sanitize_line(&parts.join("; ")))
    }
}

/// A proof is nobody's business as long as it succeeds.
fn words(step: &Step, is_dry: bool) -> Option<String> {
    let (would, did) = match step {
        Step::Renew => ("renew their token", "renewed their token"),
        Step::Mint(why) => {
            let verb = if is_dry { "mint" } else { "minted" };
            return Some(format!("{verb} a token ({why})"));
        }
        Step::RewritePolicy => ("replace their policy", "replaced their policy"),
        Step::Enroll => ("enroll", "enrolled"),
        Step::Unenroll => ("unenroll", "unenrolled"),
        Step::Revoke => ("revoke their former token", "revoked their former token"),
        Step::Prove | Step::Done(_) => return None,
    };
    Some(if is_dry { would } else { did }.to_owned())
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn code(ending: &ProvisionResult) -> u8 {
    match ending {
        ProvisionResult::Ok => 0,
        ProvisionResult::Skipped(_) | ProvisionResult::RemovalVetoed(_) => 1,
        ProvisionResult::PolicyTooBroad(_) | ProvisionResult::NeedsAdmin(_) => 77,
        ProvisionResult::Failed(failure) => store_exit_code(failure),
    }
}

fn word(step: &Step) -> &'static str {
    match step {
        Step::Renew => "renew",
        Step::Mint(_) => "mint",
        Step::Prove => "prove",
        Step::RewritePolicy => "rewrite-policy",
        Step::Enroll => "enroll",
        Step::Unenroll => "unenroll",
        Step::Revoke => "revoke",
        Step::Done(_) => "done",
    }
}

/// How far a long run has come, on the standard error: a line that changes on a terminal that can do that, elsewhere one now and then.
pub(super) struct Progress {
    total: usize,
    on_terminal: bool,
    shown: Instant,
}

impl Progress {
    pub(super) fn of(total: usize) -> Self {
        let is_dumb = env_var("TERM").is_none_or(|terminal| terminal.is_empty() || terminal == "dumb");
        Self { total, on_terminal: io::stderr().is_terminal() && !is_dumb, shown: Instant::now() }
    }

    /// `count` people are done.
    pub(super) fn show(&mut self, count: usize) {
        let every = Duration::from_millis(if self.on_terminal { 100 } else { 10_000 });
        if self.total < MANY || self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        let mut out = io::stderr();
        drop(match self.on_terminal {
            true => write!(out, "\r{count} of {} people", self.total),
            false => writeln!(out, "cas-sync: {count} of {} people", self.total),
        });
    }

    /// The line that changes goes, by blanks: not everybody wants escape sequences.
    pub(super) fn end(&self) {
        if self.on_terminal && self.total >= MANY {
            let widest = format!("{0} of {0} people", self.total).len();
            eprint!("\r{:widest$}\r", "");
        }
    }
}
