//! Text and JSON output.

use super::Inspection;
use super::check::{CheckResult, Finding, Remedy, Row};
use super::render::*;
use crate::term::Terminal;
use cas_core::outcome::ExitStatus;

const PLAIN: Terminal = Terminal { columns: None, has_color: false, is_unicode: false };

fn inspection(findings: Vec<Finding>) -> Inspection {
    let result = CheckResult::from_findings(findings);
    let row = Row { id: "a-check".into(), passed: "it is so".into(), result };
    Inspection { user: Some("ada".into()), rows: Ok(vec![row]) }
}

fn text_of(inspections: &[Inspection], as_root: bool, style: Terminal) -> String {
    render_text(&DoctorReport { inspections, fixes: &[], as_root }, false, style)
}

#[test]
fn worst_finding_is_first_with_its_command() {
    let inspections = [inspection(vec![
        Finding::warning("a mode is wide", Remedy::User("chmod 600 '/home/ada/it is'".into())),
        Finding::problem("nothing runs", Remedy::Root("systemctl start x && systemctl start y".into())),
    ])];
    let own = "ada\n  problem: nothing runs [a-check]\n      sudo sh -c 'systemctl start x && systemctl start y'\n  \
               warning: a mode is wide [a-check]\n      chmod 600 '/home/ada/it is'\n";
    assert!(text_of(&inspections, false, PLAIN).starts_with(own), "{}", text_of(&inspections, false, PLAIN));
    let root = text_of(&inspections, true, PLAIN);
    assert!(root.contains("\n      systemctl start x && systemctl start y\n"), "{root}");
    assert!(root.contains("\n      (ada, not root:) chmod 600 '/home/ada/it is'\n"), "{root}");
    assert_eq!(exit_status(&inspections), ExitStatus::Failure);
}

#[test]
fn exit_code_is_1_for_problems_and_failed_inspections_only() {
    let warned = [inspection(vec![Finding::warning("x", Remedy::Text("y".into()))])];
    assert_eq!(exit_status(&warned), ExitStatus::Success);
    let passed = [inspection(Vec::new())];
    assert_eq!(exit_status(&passed), ExitStatus::Success);
    assert_eq!(text_of(&passed, false, PLAIN), "No problems found. 1 checks passed.\n");
    let failed = [Inspection { user: Some("ada".into()), rows: Err("no answer".into()) }];
    assert_eq!(exit_status(&failed), ExitStatus::Failure);
    assert_eq!(
        render_json(&DoctorReport { inspections: &failed, fixes: &[], as_root: true })["inspections"][0]["error"],
        "no answer"
    );
}

#[test]
fn lines_fit_the_width_and_have_no_control_characters() {
    let cause = format!("{} \u{1b}[2J \u{e4}", "word ".repeat(40));
    let inspections = [inspection(vec![Finding::problem(cause, Remedy::User("rm \u{7}".into()))])];
    let text = text_of(&inspections, false, PLAIN);
    assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    assert!(text.is_ascii() && !text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
    let utf8 = text_of(&inspections, false, Terminal { has_color: true, is_unicode: true, ..PLAIN });
    assert!(utf8.contains('\u{e4}') && utf8.contains("\u{1b}[1;31mproblem:\u{1b}[0m"), "{utf8:?}");
    assert!(!utf8.contains("\u{1b}[2J"), "{utf8:?}");
}
