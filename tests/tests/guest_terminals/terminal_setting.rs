//! The terminal of a recording: its width, if it is one, and its environment.

use cas_tests::guest::Guest;
use cas_tests::pseudo_terminal::PseudoTerminal;

/// One terminal setting. Programs do not know the background color: a recording is reviewed on
/// both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The part of the file name of its recordings.
    pub(crate) name: &'static str,
    /// None where the output is a pipe.
    pub(crate) columns: Option<u16>,
    variables: &'static [(&'static str, &'static str)],
}

const TERM: (&str, &str) = ("TERM", "xterm-256color");
const UTF_8: (&str, &str) = ("LANG", "C.UTF-8");

/// 80 columns, in color, UTF-8.
pub(crate) const NARROW: Setting = Setting { name: "80.utf-8", columns: Some(80), variables: &[TERM, UTF_8] };
/// 200 columns, in color, UTF-8.
pub(crate) const WIDE: Setting = Setting { name: "200.utf-8", columns: Some(200), variables: &[TERM, UTF_8] };
/// 80 columns, in color, ASCII.
pub(crate) const C: Setting = Setting { name: "80.c", columns: Some(80), variables: &[TERM, ("LANG", "C")] };
/// 80 columns, without colors.
pub(crate) const NO_COLOR: Setting =
    Setting { name: "80.no-color", columns: Some(80), variables: &[TERM, UTF_8, ("NO_COLOR", "1")] };
/// 80 columns, of a terminal without escape sequences.
pub(crate) const DUMB: Setting =
    Setting { name: "80.dumb", columns: Some(80), variables: &[("TERM", "dumb"), UTF_8] };
/// No terminal, although the session has one.
pub(crate) const PIPE: Setting = Setting { name: "pipe", columns: None, variables: &[TERM, UTF_8] };

/// Each command is recorded in each of them at least once.
pub(crate) const ALL_SETTINGS: [Setting; 6] = [NARROW, WIDE, C, NO_COLOR, DUMB, PIPE];

impl Setting {
    /// Returns true if escape sequences may be shown.
    pub(crate) fn obeys_escapes(self) -> bool {
        [NARROW, WIDE, C].contains(&self)
    }

    /// Returns true if characters other than ASCII may be shown.
    pub(crate) fn is_utf_8(self) -> bool {
        self != C
    }
}

/// The user that runs a command, and additional environment variables.
#[derive(Clone, Copy)]
pub(crate) struct CommandUser<'a> {
    pub(crate) guest: &'a Guest,
    pub(crate) name: &'a str,
    pub(crate) variables: &'a [(&'a str, &'a str)],
}

impl<'a> CommandUser<'a> {
    pub(crate) fn new(guest: &'a Guest, name: &'a str) -> Self {
        Self { guest, name, variables: &[] }
    }

    /// Runs `cas-sync` with these words. Returns its exit code, and all output.
    #[track_caller]
    pub(crate) fn run(self, setting: Setting, words: &[&str]) -> (Option<i32>, String) {
        self.run_with_dialog(setting, words, b"", |_| {})
    }

    /// As above, with a dialog: at a terminal the input that `talk` types, else `input`.
    #[track_caller]
    pub(crate) fn run_with_dialog(
        self,
        setting: Setting,
        words: &[&str],
        input: &[u8],
        talk: impl FnOnce(&PseudoTerminal),
    ) -> (Option<i32>, String) {
        let variables = [setting.variables, self.variables].concat();
        let command = [&["cas-sync"][..], words].concat();
        match setting.columns {
            None => self.guest.run_in_pipe(self.name, &variables, &command, input),
            Some(columns) => {
                let terminal = self.guest.run_at_terminal(self.name, &variables, &command, columns);
                talk(&terminal);
                let (status, output, _) = terminal.finish_with_output();
                (status.code(), output.replace("\r\n", "\n"))
            }
        }
    }
}
