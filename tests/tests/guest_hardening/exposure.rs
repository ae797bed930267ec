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
    assert_eq!(exposure(&guest, "bare.service"), documented("| a sync without any"));
    for (unit, row) in [
        ("claude-auth-sync@alice.service", "| `claude-auth-sync@.service`"),
        ("claude-auth-watch@alice.service", "| `claude-auth-watch@.service`"),
        ("claude-auth-provision.service", "| `claude-auth-provision.service`"),
        ("claude-auth-request.service", "| `claude-auth-request.service`"),
        ("claude-auth-metrics.service", "| `claude-auth-metrics.service`"),
    ] {
        assert_eq!(exposure(&guest, unit), documented(row), "{unit}");
    }
    drop_in(&guest, "claude-auth-sync@.service", BY_MOUNT);
    assert_eq!(
        exposure(&guest, "claude-auth-sync@alice.service"),
        documented("| the same, with homes by mount")
    );
}

/// Returns the figure at the end of the row that begins with this text.
fn documented(row: &str) -> &'static str {
    let (_, rest) = PAGE.split_once("| unit | exposure |").expect("the page has the table");
    let mut rows = rest.lines().filter(|line| line.starts_with(row));
    let figure = rows.next().and_then(|line| line.strip_suffix(" |")?.rsplit(' ').next());
    figure.unwrap_or_else(|| panic!("no row {row}"))
}

/// Returns the exposure of 10; lower is better.
fn exposure(guest: &Guest, unit: &str) -> String {
    let output =
        guest.run(&format!("systemd-analyze security --no-pager {unit}")).expect_success(unit).text();
    let line = output.lines().find(|line| line.contains("Overall exposure level")).expect("a result");
    let (_, rest) = line.split_once(": ").expect("a figure");
    rest.split(' ').next().expect("a figure").to_owned()
}
