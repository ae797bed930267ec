//! Which credential Claude Code will really use, and why: its order of precedence, as measured with the client
//! (`docs/design/claude-code.md`). [`Sources::effective`] is pure; [`sources`] gathers what it decides about, and neither holds a
//! secret.

pub(crate) mod managed_settings;
pub(crate) mod settings;
pub(crate) mod sources;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;

use cas_core::credential::fingerprint::Fingerprint;
use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::LoginFileState;
use cas_protocol::setup_token::VARIABLE;

use self::settings::{Settings, Value};

/// Where something is set: of two places that set the same variable the later one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The environment of the process.
    Environment,
    /// The client's own state, `~/.claude.json`.
    OwnState,
    /// The person's settings, `~/.claude/settings.json`.
    UserSettings,
    /// What an admin forces on every client of the machine, below `/etc/claude-code`.
    ManagedSettings,
    /// What an organisation serves to every client of its members, as the client has kept it.
    Organization,
}

/// What there is to choose from.
#[derive(Debug)]
pub(crate) struct Sources {
    /// What each place sets.
    pub(crate) settings: BTreeMap<Place, Settings>,
    /// Where the client looks for a login.
    pub(crate) login_file: PathBuf,
    /// What lies there.
    pub(crate) login: LoginFileState<LoginSummary>,
    /// The profiles that have a credential, by their names.
    pub(crate) profiles: Vec<Fingerprint>,
    /// The one of them that is chosen where nobody names one.
    pub(crate) active_profile: Option<Fingerprint>,
    /// The setup-token in the env file.
    pub(crate) env_file: Option<Fingerprint>,
    /// Setup-tokens that once were in the env file and are so no more.
    pub(crate) withdrawn: Vec<Fingerprint>,
    /// What could not be read or understood: the place, and why.
    pub(crate) unknown: Vec<(Place, String)>,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// That of a cloud provider, chosen by this variable.
    Provider(&'static str),
    /// `ANTHROPIC_CUSTOM_HEADERS` with a header that authorises.
    Headers,
    /// `ANTHROPIC_API_KEY`.
    ApiKey,
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
    /// The profile that is active where nobody names one.
    ActiveProfile,
    /// `primaryApiKey` in `~/.claude.json`.
    PrimaryKey,
}

/// Whose a token in `CLAUDE_CODE_OAUTH_TOKEN` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenOrigin {
    /// The person's setup-token, the one in the env file.
    Ours,
    /// One that was in the env file once, and was replaced or taken away since.
    Withdrawn,
    /// Somebody set it by other means.
    Foreign,
}

/// A credential that the client could use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it is set; nothing for the login, which is a file of its own.
    pub(crate) place: Option<Place>,
}

/// What the client will use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effective {
    /// This; nothing where it would say that nobody is logged in.
    pub(crate) chosen: Option<Candidate>,
    /// This is sent along with it, in another header.
    pub(crate) beside: Option<Candidate>,
    /// What it would use if the chosen one were not there, in that order.
    pub(crate) shadowed: Vec<Candidate>,
    /// Who sends its questions to another server than Anthropic's.
    pub(crate) server: Option<Place>,
    /// Whether the env file has a setup-token that this process was not given: its session began earlier, or it is a service.
    pub(crate) token_not_here: bool,
}

/// What chooses another credential than those of a login, the strongest first.
const PROVIDERS: [&str; 6] = [
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
];

/// What sends the questions elsewhere.
const SERVERS: [&str; 2] = ["ANTHROPIC_BASE_URL", "ANTHROPIC_UNIX_SOCKET"];

impl Sources {
    /// Which credential the client will use, and what that one hides.
    pub(crate) fn effective(&self) -> Effective {
        let mut candidates = self.candidates().into_iter();
        let chosen = candidates.next();
        let mut shadowed: Vec<_> = candidates.collect();
        let is_pair = chosen.zip(shadowed.first()).is_some_and(|(first, second)| first.goes_with(second));
        let beside = is_pair.then(|| shadowed.remove(0));
        let has_ours = self.token().is_some_and(|candidate| candidate.kind == Kind::Token(TokenOrigin::Ours));
        Effective {
            chosen,
            beside,
            shadowed,
            server: SERVERS.iter().find_map(|name| self.set(name)).map(|(place, _)| place),
            token_not_here: self.env_file.is_some() && !has_ours,
        }
    }

    /// Every credential that is there, the strongest first.
    fn candidates(&self) -> Vec<Candidate> {
        let of = |kind, name| self.set(name).map(|(place, _)| Candidate { kind, place: Some(place) });
        let providers = PROVIDERS.iter().filter_map(|name| of(Kind::Provider(name), name));
        let others = [
            of(Kind::Headers, "ANTHROPIC_CUSTOM_HEADERS"),
            of(Kind::ApiKey, "ANTHROPIC_API_KEY"),
            of(Kind::AuthToken, "ANTHROPIC_AUTH_TOKEN"),
            self.helper(),
            self.token(),
            of(Kind::Descriptor, "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR"),
            self.profile(),
            self.is_usable().then_some(Candidate { kind: Kind::Login, place: None }),
            self.active_profile().then_some(Candidate { kind: Kind::ActiveProfile, place: None }),
            self.primary_key(),
        ];
        providers.chain(others.into_iter().flatten()).collect()
    }

    /// Who has the last word about a variable, and the word, unless that takes the variable away.
    fn set(&self, name: &str) -> Option<(Place, Fingerprint)> {
        let said = |(place, settings): (&Place, &Settings)| Some((*place, settings.variable(name)?));
        // An organisation may not hand out a token for all.
        let is_heard = |place: Place| place != Place::Organization || name != VARIABLE;
        match self.settings.iter().rev().filter(|(place, _)| is_heard(**place)).find_map(said)? {
            (place, Value::Set(fingerprint)) => Some((place, fingerprint)),
            (_, Value::Blank) => None,
        }
    }

    fn helper(&self) -> Option<Candidate> {
        // The client looks for it in settings alone, not in its own state.
        let places = [Place::Organization, Place::ManagedSettings, Place::UserSettings];
        let has_one = |place: &Place| self.settings.get(place).is_some_and(|found| found.has_helper);
        let place = places.into_iter().find(has_one)?;
        Some(Candidate { kind: Kind::ApiKeyHelper, place: Some(place) })
    }

    fn token(&self) -> Option<Candidate> {
        let (place, token) = self.set(VARIABLE)?;
        let whose = match token {
            _ if self.env_file == Some(token) => TokenOrigin::Ours,
            _ if self.withdrawn.contains(&token) => TokenOrigin::Withdrawn,
            _ => TokenOrigin::Foreign,
        };
        Some(Candidate { kind: Kind::Token(whose), place: Some(place) })
    }

    /// One that has no credential is passed over.
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

    /// Whether the client takes what lies in the file for a login.
    fn is_usable(&self) -> bool {
        matches!(
            self.login,
            LoginFileState::Valid(_)
                | LoginFileState::AccessTokenExpired(_)
                | LoginFileState::NotRefreshable(_)
        )
    }
}

impl Candidate {
    /// Whether the client sends both: an API key and a bearer token have a header each.
    fn goes_with(self, second: &Self) -> bool {
        use Kind::{ApiKey, ApiKeyHelper, AuthToken, Headers};
        matches!(
            (self.kind, second.kind),
            (ApiKey, AuthToken | ApiKeyHelper) | (AuthToken, ApiKeyHelper) | (Headers, ApiKey | ApiKeyHelper)
        )
    }

    /// What sets it, and where: "ANTHROPIC_API_KEY in ~/.claude/settings.json".
    pub(crate) fn reason(self) -> String {
        match self.place {
            Some(place) => format!("{} in {}", self.kind.setting(), place.text()),
            None => self.kind.setting().to_owned(),
        }
    }

    /// Whether it is one that this project looks after: nothing of a person's own making stands before it.
    pub(crate) fn is_managed(self) -> bool {
        matches!(self.kind, Kind::Token(TokenOrigin::Ours) | Kind::Login)
    }
}
