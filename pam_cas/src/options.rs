//! The arguments of the module's line in `/etc/pam.d`. The parser, the manual and the tests use one
//! table, [`ARGUMENTS`]. Parsing is total: an invalid argument is reported once and ignored.

use std::ffi::{CStr, CString};
use std::fmt;
use std::time::Duration;

/// The options of one login.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options<'a> {
    /// The longest time that the module may delay the login, [`MIN_DEADLINE`] to [`MAX_DEADLINE`].
    pub(crate) deadline: Duration,
    /// The helper program, an absolute path.
    pub(crate) helper: CString,
    /// The smallest uid served. The module only passes it on and makes no user lookup.
    pub(crate) minimum_uid: u32,
    /// The services that are served.
    pub(crate) services: Services<'a>,
    /// True to log every result at level debug.
    pub(crate) debug: bool,
}

/// The lower bound of `deadline=`: a process needs some time to reply.
const MIN_DEADLINE: Duration = Duration::from_millis(100);

/// The upper bound of `deadline=`: a longer delay makes a login appear broken.
const MAX_DEADLINE: Duration = Duration::from_secs(10);

/// The services that are served unless `services=` names others. Excluded on purpose: `sudo` and
/// `sudo-s`, which run commands and open no login session; `cron`, `systemd-user` and the greeters
/// of display managers, which have no user at a prompt.
const DEFAULT_SERVICES: &[&str] = &[
    "sshd",
    "login",
    "remote",
    "su",
    "su-l",
    "sudo-i",
    "gdm-password",
    "gdm-autologin",
    "gdm-fingerprint",
    "gdm-smartcard",
    "lightdm",
    "lightdm-autologin",
    "sddm",
    "sddm-autologin",
    "greetd",
    "xdm",
    "lxdm",
    "cockpit",
    "xrdp-sesman",
];

/// An argument: its syntax, its documentation and its parser.
struct Argument {
    name: &'static str,
    /// The kind of value, as in the manual. `None` for a plain word.
    value: Option<&'static str>,
    /// The default, as in the manual.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the tests compare the manual and `Options::default` with it")
    )]
    default: &'static str,
    read: Read,
}

/// Parses an argument's value into the options. The error describes a valid value.
type Read = for<'a> fn(&mut Options<'a>, &'a str) -> Result<Option<Clamped>, &'static str>;

const ARGUMENTS: &[Argument] = &[
    Argument { name: "deadline", value: Some("TIME"), default: "2s", read: read_deadline },
    Argument { name: "helper", value: Some("PATH"), default: "/usr/bin/cas-session", read: read_helper },
    Argument { name: "minimum_uid", value: Some("UID"), default: "1000", read: read_minimum_uid },
    Argument { name: "services", value: Some("NAME,…"), default: "the list below", read: read_services },
    Argument { name: "debug", value: None, default: "off", read: read_debug },
];

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(2),
            helper: c"/usr/bin/cas-session".to_owned(),
            minimum_uid: 1000,
            services: Services::Default,
            debug: false,
        }
    }
}

impl<'a> Options<'a> {
    /// Parses the arguments in order. Of an argument that is given twice the first counts.
    pub(crate) fn parse(arguments: &[&'a CStr]) -> (Self, Vec<OptionWarning<'a>>) {
        let mut options = Self::default();
        let mut warnings = Vec::new();
        let mut seen = Vec::new();
        for written in arguments {
            match options.read(written, &mut seen) {
                Ok(None) => {}
                Ok(Some(clamped)) => warnings.push(OptionWarning { written, why: Why::Clamped(clamped) }),
                Err(why) => warnings.push(OptionWarning { written, why }),
            }
        }
        (options, warnings)
    }

    fn read(&mut self, written: &'a CStr, seen: &mut Vec<&'static str>) -> Result<Option<Clamped>, Why> {
        let text = written.to_str().map_err(|_| Why::NotUtf8)?;
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let argument = ARGUMENTS.iter().find(|argument| argument.name == name).ok_or(Why::Unknown)?;
        if argument.value.is_some() != value.is_some() {
            return Err(Why::Value(argument.value.map_or("no value", |_| "a value after =")));
        }
        if seen.contains(&argument.name) {
            return Err(Why::Duplicate);
        }
        let clamped = (argument.read)(self, value.unwrap_or_default()).map_err(Why::Value)?;
        seen.push(argument.name);
        Ok(clamped)
    }
}

fn read_deadline<'a>(options: &mut Options<'a>, value: &'a str) -> Result<Option<Clamped>, &'static str> {
    let requested = duration(value).ok_or("a time such as 2s or 500ms")?;
    options.deadline = requested.clamp(MIN_DEADLINE, MAX_DEADLINE);
    Ok((options.deadline != requested).then_some(Clamped(options.deadline)))
}

fn read_helper<'a>(options: &mut Options<'a>, value: &'a str) -> Result<Option<Clamped>, &'static str> {
    const RIGHT: &str = "an absolute path";
    options.helper = CString::new(value).ok().filter(|_| value.starts_with('/')).ok_or(RIGHT)?;
    Ok(None)
}

fn read_minimum_uid<'a>(options: &mut Options<'a>, value: &'a str) -> Result<Option<Clamped>, &'static str> {
    options.minimum_uid = digits(value).ok_or("a uid, 0 to 4294967295")?;
    Ok(None)
}

fn read_services<'a>(options: &mut Options<'a>, value: &'a str) -> Result<Option<Clamped>, &'static str> {
    let names: Vec<&str> = value.split(',').filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err("service names separated by commas");
    }
    options.services = Services::Only(names);
    Ok(None)
}

fn read_debug<'a>(options: &mut Options<'a>, _: &'a str) -> Result<Option<Clamped>, &'static str> {
    options.debug = true;
    Ok(None)
}

/// Parses whole milliseconds (`500ms`) or seconds (`2s`, `2`).
fn duration(text: &str) -> Option<Duration> {
    if let Some(milliseconds) = text.strip_suffix("ms") {
        return digits(milliseconds).map(|number| Duration::from_millis(u64::from(number)));
    }
    digits(text.strip_suffix('s').unwrap_or(text)).map(|number| Duration::from_secs(u64::from(number)))
}

/// Parses digits only: `parse` would accept `+5` too.
fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The PAM services that the module serves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Services<'a> {
    /// [`DEFAULT_SERVICES`].
    Default,
    /// The services that `services=` names.
    Only(Vec<&'a str>),
}

impl Services<'_> {
    /// Returns true if the module serves this service.
    pub(crate) fn contain(&self, service: &str) -> bool {
        match self {
            Self::Default => DEFAULT_SERVICES.contains(&service),
            Self::Only(names) => names.contains(&service),
        }
    }
}

/// An argument that was ignored or changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OptionWarning<'a> {
    written: &'a CStr,
    why: Why,
}

#[derive(Debug, PartialEq, Eq)]
enum Why {
    Unknown,
    Duplicate,
    NotUtf8,
    /// Describes a valid value.
    Value(&'static str),
    Clamped(Clamped),
}

/// The deadline that is used instead of the given one.
#[derive(Debug, PartialEq, Eq)]
struct Clamped(Duration);

impl fmt::Display for OptionWarning<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_QUOTE_LEN: usize = 60;
        let quote: String = self.written.to_string_lossy().chars().take(MAX_QUOTE_LEN).collect();
        write!(formatter, "argument \"{quote}\" ")?;
        match &self.why {
            Why::Unknown => formatter.write_str("ignored: unknown")?,
            Why::Duplicate => formatter.write_str("ignored: given before")?,
            Why::NotUtf8 => formatter.write_str("ignored: not UTF-8")?,
            Why::Value(right) => write!(formatter, "ignored: takes {right}")?,
            Why::Clamped(Clamped(time)) => write!(formatter, "changed to {} ms", time.as_millis())?,
        }
        formatter.write_str(", correct the line in /etc/pam.d")
    }
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
