//! Where the server is, and where the document lies in it: settings that are checked once, when they are read.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// Where the server listens: `https://host[:port][/prefix]`, or `http://` to this very machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl(Url);

impl ServerUrl {
    /// Reads the form that `VAULT_ADDR` has.
    ///
    /// # Errors
    /// [`SettingError`] for anything that is not such an address: a token must never cross a network in the clear.
    pub fn parse(text: &str) -> Result<Self, SettingError> {
        let bad =
            |problem: &str| SettingError::new("Vault address", problem, "write it as https://HOST:PORT");
        let url = Url::parse(text.trim()).map_err(|error| bad(&error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it contains a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it goes on after the host and path"));
        }
        match url.scheme() {
            "https" if url.has_host() => Ok(Self(url)),
            "http" if is_this_machine(&url) => Ok(Self(url)),
            "http" => Err(bad("plain http to another machine would show the token to the network")),
            other => Err(bad(&format!("{other}: is not a scheme that Vault speaks"))),
        }
    }

    /// The address with `/v1/` and these segments behind it, each percent-encoded as needed.
    pub(super) fn endpoint<'segment>(&self, segments: impl IntoIterator<Item = &'segment str>) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(segments);
        }
        url
    }

    /// The port, of which 80 is the usual one without encryption.
    pub(super) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(80)
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The address of an HTTP proxy. It is used for https only, so that it sees no token; it may contain a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyAddress(Url);

impl ProxyAddress {
    /// Reads `http[s]://[user:password@]host:port`.
    ///
    /// # Errors
    /// [`SettingError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, SettingError> {
        let bad = |problem: &str| SettingError::new("proxy", problem, "write it as http://HOST:PORT");
        let url = Url::parse(text.trim()).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(bad("it is not an HTTP proxy"));
        }
        Ok(Self(url))
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ProxyAddress({:?})", self.0.host_str())
    }
}

/// A path in Vault, of a mount, a namespace or a document: segments that can neither be empty nor lead elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultPath(Vec<String>);

impl VaultPath {
    /// Reads `segment/segment/…`, without a slash at either end.
    ///
    /// # Errors
    /// [`SettingError`] for an empty segment, `.`, `..`, or a control character.
    pub fn parse(text: &str) -> Result<Self, SettingError> {
        let bad =
            |problem: String| SettingError::new("Vault path", &problem, "write it as mount/folder/name");
        let segments: Vec<String> = text.split('/').map(String::from).collect();
        for segment in &segments {
            match segment.as_str() {
                "" => return Err(bad(format!("{text:?} has an empty segment"))),
                "." | ".." => return Err(bad(format!("{text:?} contains {segment:?}"))),
                _ if segment.contains(char::is_control) => {
                    return Err(bad(format!("{text:?} contains a control character")));
                }
                _ => {}
            }
        }
        Ok(Self(segments))
    }

    /// Reads a path whose first segment is the mount, as the `vault` command takes it; returns mount and rest.
    ///
    /// # Errors
    /// [`SettingError`] as for [`VaultPath::parse`], or when there is nothing behind the mount.
    pub fn parse_with_mount(text: &str) -> Result<(Self, Self), SettingError> {
        let mut mount = Self::parse(text)?.0;
        let rest = mount.split_off(1);
        if rest.is_empty() {
            return Err(SettingError::new(
                "Vault path",
                "it names a mount only",
                "write it as mount/folder/name",
            ));
        }
        Ok((Self(mount), Self(rest)))
    }

    /// Where this user's document lies unless another place is configured.
    ///
    /// # Errors
    /// [`SettingError`] when the name cannot be one segment of a path.
    pub fn for_user(user: &str) -> Result<Self, SettingError> {
        let segments = Self::parse(user)?.0;
        if segments.len() > 1 {
            return Err(SettingError::new(
                "user name",
                "it contains a slash",
                "give the name of one account",
            ));
        }
        Ok(Self(["workstation", "claude-users"].map(String::from).into_iter().chain(segments).collect()))
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for VaultPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("/"))
    }
}

/// A setting that cannot be used. Its `Display` ends in how to write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    setting: &'static str,
    problem: String,
    remedy: &'static str,
}

impl SettingError {
    fn new(setting: &'static str, problem: &str, remedy: &'static str) -> Self {
        Self { setting, problem: problem.to_owned(), remedy }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the {} cannot be used: {}; {}", self.setting, self.problem, self.remedy)
    }
}

impl std::error::Error for SettingError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_only_ever_travels_encrypted_or_within_this_machine() {
        for good in [
            "https://vault:8200",
            "https://10.0.0.1",
            "https://[2001:db8::1]:8200/prefix/",
            "http://127.0.0.1:8200",
            "http://127.9.9.9:1",
            "http://[::1]:8200",
            "http://localhost:8200",
        ] {
            assert!(ServerUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "vault:8200",
            "http://vault:8200",
            "http://10.0.0.1:8200",
            "http://127.0.0.1.example.org",
            "http://localhost.example.org",
            "http://[::ffff:127.0.0.1]:8200",
            "http://0.0.0.0:8200",
            "http://[::]:8200",
            "ftp://127.0.0.1",
            "unix:///run/vault",
            "https://me:secret@vault",
            "https://vault/?x=1",
            "https://vault/#x",
        ] {
            let error = ServerUrl::parse(bad).expect_err(bad).to_string();
            assert!(error.ends_with("https://HOST:PORT"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_path_stays_below_its_mount_whatever_it_contains() {
        let address = ServerUrl::parse("https://vault/prefix/").unwrap();
        let path = VaultPath::parse("a b/%2e%2e/ä?#\\").unwrap();
        let url = address.endpoint(["secret", "data"].into_iter().chain(path.segments()));
        assert_eq!(url.as_str(), "https://vault/prefix/v1/secret/data/a%20b/%252e%252e/%C3%A4%3F%23%5C");
        for bad in ["", "/a", "a/", "a//b", "a/../b", "..", "a/.", "a\nb", "a/\u{7f}"] {
            assert!(VaultPath::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_mount_is_the_first_segment_of_what_the_vault_command_takes() {
        let (mount, path) = VaultPath::parse_with_mount("secret/workstation/claude-users/alice").unwrap();
        assert_eq!((mount.to_string(), path), ("secret".to_owned(), VaultPath::for_user("alice").unwrap()));
        assert!(VaultPath::parse_with_mount("secret").is_err());
        assert!(VaultPath::for_user("alice/../bob").is_err());
        assert!(VaultPath::for_user("alice/bob").is_err());
    }
}
