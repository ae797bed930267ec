//! `precedence.tsv`: for each row what each client sends.

use std::fs;
use std::path::{Path, PathBuf};

use cas_tests::claude_client::{NEWEST, OLDER};

/// The columns after the settings.
pub(super) const VERSIONS: [&str; 2] = [OLDER, NEWEST];

/// The table. A new row has no answers yet.
pub(super) struct Table {
    heading: String,
    pub(super) rows: Vec<(String, Vec<String>)>,
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/status/precedence.tsv")
}

/// Returns true if the table must be completed.
pub(super) fn is_recording() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the caller of the suite decides")]
    std::env::var_os("RECORD").is_some()
}

impl Table {
    pub(super) fn load() -> Self {
        let text = fs::read_to_string(path()).expect("the table is part of the sources");
        let mut lines = text.lines();
        let heading = lines.next().expect("a line of names").to_owned();
        assert_eq!(heading, ["settings", OLDER, NEWEST].join("\t"));
        let cells = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
        let rows = lines.map(cells).map(|mut row| (row.remove(0), row)).collect();
        Self { heading, rows }
    }

    pub(super) fn save(&self) {
        let rows =
            self.rows.iter().map(|(settings, answers)| format!("{settings}\t{}\n", answers.join("\t")));
        fs::write(path(), format!("{}\n{}", self.heading, rows.collect::<String>())).expect("written");
    }
}
