//! Determines which credential Claude Code uses: its order of precedence was measured with the
//! client (`docs/design/claude-code.md`). [`Sources::effective`] is pure; [`sources`] collects its
//! input. Neither contains a secret.

pub(crate) mod managed_settings;
pub(crate) mod moved_login;
pub(crate) mod project;
pub(crate) mod settings;
pub(crate) mod shell_startup;
pub(crate) mod sources;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;

use cas_core::claude_files::state_problem::StateFileProblem;
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::LoginFileState;
use cas_core::credential::sign_out::SignOut;
use cas_protocol::setup_token::VARIABLE;

use serde::{Deserialize, Serialize};

use self::moved_login::MovedLogin;
use self::project::{Controller, ELSEWHERE, Project};
use self::settings::{Settings, Value};

/// Where a variable is set. If two places set it, the later one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Place {
    /// The environment of the process.
    Environment,
    /// The client's own state, `~/.claude.json`.
    OwnState,
    /// The user's settings, `~/.claude/settings.json`.
    UserSettings,
    /// The settings of the project, `.claude/settings.json` in the working directory.
    ProjectSettings,
    /// The user's own settings of the project, `.claude/settings.local.json`.
    LocalSettings,
    /// The machine's settings for all clients, below `/etc/claude-code`.
    ManagedSettings,
    /// The organization's settings for the clients of its members, as stored by the client.
    Organization,
}

impl Place {
    /// Returns true if the client takes this variable from this place. It takes descriptors from
    /// its environment only.
    pub(crate) fn counts_for(self, name: &str) -> bool {
        use Place::{Environment, LocalSettings, Organization, OwnState, ProjectSettings};
        match name {
            settings::API_KEY_DESCRIPTOR | settings::TOKEN_DESCRIPTOR => self == Environment,
            VARIABLE => !matches!(self, ProjectSettings | LocalSettings | Organization),
            settings::SIMPLE | moved_login::CREDENTIALS_DIRECTORY | moved_login::CONFIG_DIRECTORY => {
                !matches!(self, ProjectSettings | LocalSettings)
            }
            settings::HELPER => !matches!(self, Environment | OwnState),
            _ => true,
        }
    }
}

/// The credentials and settings that the client can find.
#[derive(Debug)]
pub(crate) struct Sources {
    /// The settings of each place.
    pub(crate) settings: BTreeMap<Place, Settings>,
    /// The settings of the project, which are in `settings` too.
    pub(crate) project: Project,
    /// The login file of the client.
    pub(crate) login_file: PathBuf,
    /// The login in it.
    pub(crate) login: LoginFileState<LoginSummary>,
    /// The variable that selects this file; `None` if it is the managed one.
    pub(crate) moved: Option<MovedLogin>,
    /// True if [`settings::API_KEY_DESCRIPTOR`] names an open descriptor.
    pub(crate) has_open_key: bool,
    /// Why the user intends that there is no login.
    pub(crate) sign_out: Option<SignOut>,
    /// The client's state file, if the client cannot use it.
    pub(crate) state_problem: Option<StateFileProblem>,
    /// The names of the profiles that have a credential.
    pub(crate) profiles: Vec<Fingerprint>,
    /// The profile that is used if no variable names one.
    pub(crate) active_profile: Option<Fingerprint>,
    /// The setup token in the env file.
    pub(crate) env_file: Option<Fingerprint>,
    /// Setup tokens that were in the env file and no longer are.
    pub(crate) withdrawn: Vec<Fingerprint>,
    /// What cannot be read or parsed: the place and the reason.
    pub(crate) unknown: Vec<(Place, String)>,
}

/// The kind of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The credential of a cloud provider, selected by this variable.
    Provider(&'static str),
    /// `ANTHROPIC_CUSTOM_HEADERS` with an authorization header.
    Headers,
    /// `ANTHROPIC_API_KEY`.
    ApiKey,
    /// `CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR`.
    ApiKeyDescriptor,
    /// `ANTHROPIC_AUTH_TOKEN`.
    AuthToken,
    /// A program that prints a key.
    ApiKeyHelper,
    /// `CLAUDE_CODE_OAUTH_TOKEN`.
    Token(TokenOrigin),
    /// `CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR`.
    Descriptor,
    /// A profile that `ANTHROPIC_PROFILE` names.
    Profile,
    /// The login in `.credentials.json`.
    Login,
    /// The profile in `active_config`, if no variable names one.
    ActiveProfile,
    /// `primaryApiKey` in `~/.claude.json`.
    PrimaryKey,
}

/// The origin of a token in `CLAUDE_CODE_OAUTH_TOKEN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenOrigin {
    /// The setup token in the user's env file.
    Ours,
    /// A token that was in the env file, and was replaced or removed.
    Withdrawn,
    /// Set by other means.
    Foreign,
}

/// A credential that the client can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Where it is set; `None` for the login, which is a separate file.
    pub(crate) place: Option<Place>,
}

/// The result of the precedence rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effective {
    /// The active credential; `None` if the client would report that no one is logged in.
    pub(crate) chosen: Option<Candidate>,
    /// A credential that is sent too, in another header.
    pub(crate) beside: Option<Candidate>,
    /// The overridden credentials in their order of precedence.
    pub(crate) shadowed: Vec<Candidate>,
    /// The place that sets another server than Anthropic's.
    pub(crate) server: Option<Place>,
    /// True if this process does not have the setup token of the env file: its session started
    /// earlier, or it is a service.
    pub(crate) token_not_here: bool,
}

/// Variables that select a cloud provider, in order of precedence.
const PROVIDERS: [&str; 6] = [
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
];

/// Variables that set another server.
const SERVERS: [&str; 2] = ["ANTHROPIC_BASE_URL", "ANTHROPIC_UNIX_SOCKET"];

impl Effective {
    /// Returns true if the client has a managed credential, even if another one overrides it.
    pub(crate) fn has_managed(&self) -> bool {
        self.chosen.iter().chain(&self.shadowed).any(|candidate| candidate.is_managed())
    }
}

impl Sources {
    /// Returns the credential that the client uses, and those that it overrides.
    pub(crate) fn effective(&self) -> Effective {
        let mut candidates = self.candidates().into_iter();
        let chosen = candidates.next();
        let mut shadowed: Vec<_> = candidates.collect();
        let is_pair =
            |(index, second)| chosen.is_some_and(|first: Candidate| first.goes_with(second, index == 0));
        let beside = shadowed.iter().enumerate().position(is_pair);
        let beside = beside.map(|index| shadowed.remove(index));
        let has_ours = self.token().is_some_and(|candidate| candidate.kind == Kind::Token(TokenOrigin::Ours));
        Effective {
            chosen,
            beside,
            shadowed,
            server: SERVERS.iter().find_map(|name| self.set(name)).map(|(place, _)| place),
            token_not_here: self.env_file.is_some() && !has_ours,
        }
    }

    /// Returns why the credential that the client uses is not managed, with the remedy. Returns
    /// `None` if it is managed, or if the client finds no credential.
    pub(crate) fn unmanaged(&self, effective: &Effective) -> Option<String> {
        if let Some((name, place)) = self.without_login().filter(|_| effective.chosen.is_none()) {
            return Some(format!(
                "{name} is set in {}, so Claude Code uses no login and no setup token here; run `cas-sync doctor` to see how to remove it",
                place.text()
            ));
        }
        if let Some(why) = self.project.unread_text() {
            return Some(format!("{why}; {ELSEWHERE}"));
        }
        let uses_login = effective.chosen.is_none_or(|chosen| chosen.kind == Kind::Login);
        if let Some(moved) = self.moved.as_ref().filter(|_| uses_login) {
            return Some(moved.to_string());
        }
        let chosen = effective.chosen.filter(|chosen| !chosen.is_managed())?;
        let (text, source) = (chosen.kind.text(), chosen.reason());
        let remedy = match chosen.kind {
            Kind::ActiveProfile | Kind::PrimaryKey => "run `cas-sync login` to use a login instead".into(),
            _ => match self.controller(chosen) {
                Some(controller) => format!("{}; {ELSEWHERE}", controller.text()),
                None => "run `cas-sync doctor` to see how to remove it".into(),
            },
        };
        Some(format!("Claude Code uses {text}, {source}, which is not managed or verified here; {remedy}"))
    }

    /// Returns true if another user decides which credential the client uses in this directory.
    pub(crate) fn is_foreign(&self, effective: &Effective) -> bool {
        self.project.unread.is_some()
            || effective.chosen.is_some_and(|chosen| self.controller(chosen).is_some())
    }

    /// Returns the other user who controls the file that sets this credential.
    fn controller(&self, candidate: Candidate) -> Option<&Controller> {
        self.project.controller(candidate.place?, candidate.kind.setting())
    }

    /// Returns all credentials in order of precedence.
    fn candidates(&self) -> Vec<Candidate> {
        let of = |kind, name| self.set(name).map(|(place, _)| Candidate { kind, place: Some(place) });
        let providers = PROVIDERS.iter().filter_map(|name| of(Kind::Provider(name), name));
        let others = [
            of(Kind::Headers, "ANTHROPIC_CUSTOM_HEADERS"),
            of(Kind::ApiKey, "ANTHROPIC_API_KEY"),
            of(Kind::ApiKeyDescriptor, settings::API_KEY_DESCRIPTOR).filter(|_| self.has_open_key),
            of(Kind::AuthToken, "ANTHROPIC_AUTH_TOKEN"),
            self.helper(),
            self.token(),
            of(Kind::Descriptor, settings::TOKEN_DESCRIPTOR),
            self.profile(),
            self.is_usable().then_some(Candidate { kind: Kind::Login, place: None }),
            self.active_profile().then_some(Candidate { kind: Kind::ActiveProfile, place: None }),
            self.primary_key(),
        ];
        let is_used = |candidate: &Candidate| match self.without_login() {
            None => true,
            Some((settings::SIMPLE, _)) => candidate.kind.works_in_bare_mode(),
            Some(_) => !matches!(candidate.kind, Kind::Token(_) | Kind::Descriptor | Kind::Login),
        };
        providers.chain(others.into_iter().flatten()).filter(is_used).collect()
    }

    /// Returns the last place that sets a variable, with its value, unless that value is blank.
    fn set(&self, name: &str) -> Option<(Place, Fingerprint)> {
        let value_in = |(place, settings): (&Place, &Settings)| Some((*place, settings.variable(name)?));
        match self.settings.iter().rev().filter(|(place, _)| place.counts_for(name)).find_map(value_in)? {
            (place, Value::Set(fingerprint)) => Some((place, fingerprint)),
            (_, Value::Blank) => None,
        }
    }

    /// Returns the variable with which the client uses no login and no setup token, and its place:
    /// bare mode, or a descriptor without an API key.
    fn without_login(&self) -> Option<(&'static str, Place)> {
        let set = |name| self.set(name).map(|(place, _)| (name, place));
        set(settings::SIMPLE).or_else(|| set(settings::API_KEY_DESCRIPTOR).filter(|_| !self.has_open_key))
    }

    fn helper(&self) -> Option<Candidate> {
        let has_one =
            |(place, found): &(&Place, &Settings)| found.has_helper && place.counts_for(settings::HELPER);
        let (place, _) = self.settings.iter().rev().find(has_one)?;
        Some(Candidate { kind: Kind::ApiKeyHelper, place: Some(*place) })
    }

    fn token(&self) -> Option<Candidate> {
        let (place, token) = self.set(VARIABLE)?;
        let origin = match token {
            _ if self.env_file == Some(token) => TokenOrigin::Ours,
            _ if self.withdrawn.contains(&token) => TokenOrigin::Withdrawn,
            _ => TokenOrigin::Foreign,
        };
        Some(Candidate { kind: Kind::Token(origin), place: Some(place) })
    }

    /// Returns the named profile if it has a credential.
    fn profile(&self) -> Option<Candidate> {
        let (place, name) = self.set("ANTHROPIC_PROFILE")?;
        self.profiles.contains(&name).then_some(Candidate { kind: Kind::Profile, place: Some(place) })
    }

    fn active_profile(&self) -> bool {
        self.active_profile.is_some_and(|name| self.profiles.contains(&name))
    }

    fn primary_key(&self) -> Option<Candidate> {
        let place = Place::OwnState;
        let has_one = self.settings.get(&place).is_some_and(|found| found.has_primary_key);
        has_one.then_some(Candidate { kind: Kind::PrimaryKey, place: Some(place) })
    }

    /// Returns true if the client accepts the content of the file as a login.
    fn is_usable(&self) -> bool {
        matches!(
            self.login,
            LoginFileState::Valid(_)
                | LoginFileState::AccessTokenExpired(_)
                | LoginFileState::NotRefreshable(_)
        )
    }
}

impl Kind {
    /// Returns true if the client also uses it with [`settings::SIMPLE`].
    fn works_in_bare_mode(self) -> bool {
        matches!(self, Self::Provider(_) | Self::Headers | Self::ApiKey | Self::AuthToken)
    }
}

impl Candidate {
    /// Returns true if the client sends both: an API key and a bearer token have a header each.
    /// `is_next` is true if `second` directly follows in the order of precedence. Beside a header
    /// of [`Kind::Headers`] the client sends a key only then.
    fn goes_with(self, second: &Self, is_next: bool) -> bool {
        use Kind::{ApiKey, ApiKeyDescriptor, ApiKeyHelper, AuthToken, Headers, PrimaryKey};
        match (self.kind, second.kind) {
            (ApiKey | ApiKeyDescriptor, AuthToken | ApiKeyHelper)
            | (AuthToken, ApiKeyHelper | PrimaryKey) => true,
            (Headers, ApiKey | ApiKeyDescriptor | ApiKeyHelper | PrimaryKey) => is_next,
            _ => false,
        }
    }

    /// Returns what sets it and where: "ANTHROPIC_API_KEY in ~/.claude/settings.json".
    pub(crate) fn reason(self) -> String {
        match self.place {
            Some(place) => format!("{} in {}", self.kind.setting(), place.text()),
            None => self.kind.setting().to_owned(),
        }
    }

    /// Returns true if cas-sync manages this credential.
    pub(crate) fn is_managed(self) -> bool {
        matches!(self.kind, Kind::Token(TokenOrigin::Ours) | Kind::Login)
    }
}
