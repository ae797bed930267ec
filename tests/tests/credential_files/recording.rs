//! The table of each client's result for each file.

use std::fs;
use std::path::{Path, PathBuf};

use cas_tests::claude_client::{NEWEST, OLDER};
use cas_tests::credential_corpus::Case;

/// The columns after the name.
const VERSIONS: [&str; 2] = [OLDER, NEWEST];

/// Returns true if the table must be written.
pub(crate) fn is_wanted() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the caller of the suite decides")]
    std::env::var_os("RECORD").is_some()
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/credential_files/answers.tsv")
}

/// The table.
pub(crate) struct Recording {
    versions: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

impl Recording {
    pub(crate) fn load() -> Self {
        let text = fs::read_to_string(path()).expect("the table is part of the sources");
        let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
        let versions = lines.next().expect("a line of names").split_off(1);
        let rows = lines.map(|mut row| (row.remove(0), row)).collect();
        Self { versions, rows }
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.rows.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Returns the result of each client for the file, in the order of the versions.
    pub(crate) fn answers(&self, name: &str) -> Vec<&str> {
        let row = self.rows.iter().find(|(other, _)| other == name);
        let (_, answers) = row.unwrap_or_else(|| panic!("{name} is not recorded"));
        answers.iter().map(String::as_str).collect()
    }

    /// Returns the result of the client of this version.
    pub(crate) fn answer(&self, name: &str, version: &str) -> &str {
        let column = self.versions.iter().position(|other| other == version);
        self.answers(name)[column.unwrap_or_else(|| panic!("{version} is not recorded"))]
    }

    /// Records the result of the client of this version for the file.
    pub(crate) fn set(&mut self, name: &str, version: &str, answer: String) {
        let column = self.versions.iter().position(|other| other == version).expect("a known version");
        let count = self.versions.len();
        if !self.rows.iter().any(|(other, _)| other == name) {
            self.rows.push((name.to_owned(), vec![String::new(); count]));
        }
        let row = self.rows.iter_mut().find(|(other, _)| other == name).expect("it is there now");
        row.1[column] = answer;
    }

    /// Writes the table in the order of the corpus.
    pub(crate) fn save(&self, cases: &[Case]) {
        let mut text = format!("file\t{}\n", VERSIONS.join("\t"));
        for case in cases {
            text.push_str(&format!("{}\t{}\n", case.name, self.answers(&case.name).join("\t")));
        }
        fs::write(path(), text).expect("written");
    }
}
