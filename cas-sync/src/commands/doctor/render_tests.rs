//! The words for what was found.

use super::Inspected;
use super::check::{CheckResult, Finding, Remedy, Row};
use super::render::*;
use crate::term::Terminal;

const PLAIN: Terminal = Terminal { columns: None, has_color: false, is_unicode: false };

fn looked(findings: Vec<Finding>) -> Inspected {
    let judgement = CheckResult::of(findings);
    let row = Row { id: "a-check".into(), looks_at: "is it so".into(), judgement };
    Inspected { user: Some("ada".into()), rows: Ok(vec![row]) }
}

fn shown(looked: &[Inspected], as_root: bool, style: Terminal) -> String {
    render_text(&Report { looked, mended: &[], as_root }, false, style)
}

#[test]
fn the_worst_comes_first_with_what_to_paste() {
    let looked = [looked(vec![
        Finding::warning("a mode is wide", Remedy::Person("chmod 600 '/home/ada/it is'".into())),
        Finding::problem("nothing runs", Remedy::Root("systemctl start x && systemctl start y".into())),
    ])];
    let own = "ada\n  problem: nothing runs [a-check]\n      sudo sh -c 'systemctl start x && systemctl start y'\n  \
               warning: a mode is wide [a-check]\n      chmod 600 '/home/ada/it is'\n";
    assert!(shown(&looked, false, PLAIN).starts_with(own), "{}", shown(&looked, false, PLAIN));
    let root = shown(&looked, true, PLAIN);
    assert!(root.contains("\n      systemctl start x && systemctl start y\n"), "{root}");
    assert!(root.contains("\n      (ada, not root:) chmod 600 '/home/ada/it is'\n"), "{root}");
    assert_eq!(exit_code(&looked), 1);
}

#[test]
fn warnings_alone_are_no_failure_and_what_nobody_could_look_at_is_one() {
    let warned = [looked(vec![Finding::warning("x", Remedy::Text("y".into()))])];
    assert_eq!(exit_code(&warned), 0);
    let fine = [looked(Vec::new())];
    assert_eq!(exit_code(&fine), 0);
    assert_eq!(shown(&fine, false, PLAIN), "Nothing is wrong. Looked at, and in order: 1.\n");
    let unseen = [Inspected { user: Some("ada".into()), rows: Err("no answer".into()) }];
    assert_eq!(exit_code(&unseen), 1);
    assert_eq!(
        render_json(&Report { looked: &unseen, mended: &[], as_root: true })["about"][0]["problem"],
        "no answer"
    );
}

#[test]
fn lines_fit_a_terminal_and_say_nothing_to_it() {
    let cause = format!("{} \u{1b}[2J \u{e4}", "word ".repeat(40));
    let looked = [looked(vec![Finding::problem(cause, Remedy::Person("rm \u{7}".into()))])];
    let text = shown(&looked, false, PLAIN);
    assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    assert!(text.is_ascii() && !text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
    let utf8 = shown(&looked, false, Terminal { has_color: true, is_unicode: true, ..PLAIN });
    assert!(utf8.contains('\u{e4}') && utf8.contains("\u{1b}[1;31mproblem:\u{1b}[0m"), "{utf8:?}");
    assert!(!utf8.contains("\u{1b}[2J"), "{utf8:?}");
}
