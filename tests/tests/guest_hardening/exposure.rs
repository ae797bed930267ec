//! The exposure of the units as systemd rates it.

use cas_tests::guest::{Guest, Suite};

use crate::drop_in;
use crate::mount_restriction::BY_MOUNT;

const PAGE: &str = include_str!("../../../docs/admin/units.md");

#[test]
fn unit_exposure_equals_the_documented_one_on_bookworm() {
    check_unit_exposure(Suite::Bookworm);
}

#[test]
fn unit_exposure_equals_the_documented_one_on_trixie() {
    check_unit_exposure(Suite::Trixie);
}

fn check_unit_exposure(suite: Suite) {
    let guest = Guest::boot_with_product(suite);
    let bare = b"[Service]\nType=oneshot\nUser=alice\nExecStart=/usr/bin/cas-sync run\n";
    guest.write("/run/systemd/system/bare.service", "root", "644", bare);
    guest.run("systemctl daemon-reload").expect_success("a unit without anything");
    let (_, rest) = PAGE.split_once("gives the sync ").expect("the page has figures");
    let mut figures = rest.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let mut figure =
        || figures.find(|text| text.contains('.') && text.len() > 2).expect("a figure").to_owned();
    let (sync, without, by_mount) = (figure(), figure(), figure());
    let (watch, roots, metrics) = (figure(), figure(), figure());
    assert_eq!(exposure(&guest, "claude-auth-sync@alice.service"), sync);
    assert_eq!(exposure(&guest, "claude-auth-watch@alice.service"), watch);
    assert_eq!(exposure(&guest, "bare.service"), without);
    assert_eq!(exposure(&guest, "claude-auth-provision.service"), roots);
    assert_eq!(exposure(&guest, "claude-auth-metrics.service"), metrics);
    drop_in(&guest, "claude-auth-sync@.service", BY_MOUNT);
    assert_eq!(exposure(&guest, "claude-auth-sync@alice.service"), by_mount);
}

/// Returns the exposure of 10; lower is better.
fn exposure(guest: &Guest, unit: &str) -> String {
    let output =
        guest.run(&format!("systemd-analyze security --no-pager {unit}")).expect_success(unit).text();
    let line = output.lines().find(|line| line.contains("Overall exposure level")).expect("a result");
    let (_, rest) = line.split_once(": ").expect("a figure");
    rest.split(' ').next().expect("a figure").to_owned()
}
