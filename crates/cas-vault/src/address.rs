//! The URL of the server and the paths in it: settings that are validated once, when they are read.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// The URL of the server: `https://host[:port][/prefix]`, or `http://` to this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl(Url);

impl ServerUrl {
    /// Parses a URL in the form of `VAULT_ADDR`.
    ///
    /// # Errors
    /// [`SettingError`] for any other URL, because a token must never cross a network unencrypted.
    pub fn parse(text: &str) -> Result<Self, SettingError> {
        let bad =
            |problem: &str| SettingError::new("Vault address", problem, "write it as https://HOST:PORT");
        let url = Url::parse(text.trim()).map_err(|error| bad(&error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("it contains a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it has a query or a fragment"));
        }
        match url.scheme() {
            "https" if url.has_host() => Ok(Self(url)),
            "http" if is_this_machine(&url) => Ok(Self(url)),
            "http" => Err(bad("plain http to another machine would send the token unencrypted")),
            other => Err(bad(&format!("{other}: is not a scheme of Vault"))),
        }
    }

    /// Returns the URL with `/v1/` and these segments appended, each percent-encoded as needed.
    pub(super) fn endpoint<'segment>(&self, segments: impl IntoIterator<Item = &'segment str>) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(segments);
        }
        url
    }

    /// Returns the port, 80 by default.
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

/// The URL of an HTTP proxy, which may contain a password. The proxy is used for https only, so it
/// sees no token.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyAddress(Url);

impl ProxyAddress {
    /// Parses `http[s]://[user:password@]host:port`.
    ///
    /// # Errors
    /// [`SettingError`] for any other URL.
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

/// A path in Vault of a mount, a namespace or a document. No segment is empty, `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultPath(Vec<String>);

impl VaultPath {
    /// Parses `segment/segment/…`, without a slash at either end.
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

    /// Parses a path whose first segment is the mount, as the `vault` command does. Returns the
    /// mount and the rest.
    ///
    /// # Errors
    /// [`SettingError`] as for [`VaultPath::parse`], or if nothing follows the mount.
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

    /// Returns the default path of this user's document.
    ///
    /// # Errors
    /// [`SettingError`] if the name cannot be one path segment.
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

/// A setting that cannot be used. Its `Display` ends in the correct form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the {setting}: {problem}; {remedy}")]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_url_is_https_or_on_this_machine() {
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
    fn path_segments_are_encoded_and_stay_below_the_mount() {
        let address = ServerUrl::parse("https://vault/prefix/").unwrap();
        let path = VaultPath::parse("a b/%2e%2e/ä?#\\").unwrap();
        let url = address.endpoint(["secret", "data"].into_iter().chain(path.segments()));
        assert_eq!(url.as_str(), "https://vault/prefix/v1/secret/data/a%20b/%252e%252e/%C3%A4%3F%23%5C");
        for bad in ["", "/a", "a/", "a//b", "a/../b", "..", "a/.", "a\nb", "a/\u{7f}"] {
            assert!(VaultPath::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn first_segment_of_a_full_path_is_the_mount() {
        let (mount, path) = VaultPath::parse_with_mount("secret/workstation/claude-users/alice").unwrap();
        assert_eq!((mount.to_string(), path), ("secret".to_owned(), VaultPath::for_user("alice").unwrap()));
        assert!(VaultPath::parse_with_mount("secret").is_err());
        assert!(VaultPath::for_user("alice/../bob").is_err());
        assert!(VaultPath::for_user("alice/bob").is_err());
    }
}
