//! The files that `cas-sync` reads and writes, for the section FILES of its man pages.

/// The files and their descriptions, by section of the manual.
pub(crate) const FILES: [(&str, &[(&str, &str)]); 2] = [
    (
        "1",
        &[
            ("~/.claude/.credentials.json", "Claude Code's login file."),
            (
                "~/.config/claude-auth-sync/claude-oauth.env",
                "Your setup token: one line CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-..., mode 0600.",
            ),
            ("~/.config/claude-auth-sync/vault-token", "Your Vault token, mode 0600."),
            (
                "~/.local/state/claude-auth-sync/",
                "Backups, the state of each login, sync.log with a line of every run, and state.json with the last result. claude-auth-sync(7) lists all files.",
            ),
            ("/etc/claude-auth-sync/", "The configuration of this machine; see claude-auth-sync.toml(5)."),
        ],
    ),
    (
        "8",
        &[
            (
                "/etc/claude-auth-sync/config.toml, /etc/claude-auth-sync/conf.d/",
                "The configuration; see claude-auth-sync.toml(5).",
            ),
            ("/etc/claude-auth-sync/roster.yaml", "The managed users; see claude-auth-sync-roster(5)."),
            ("/var/lib/claude-auth-sync/enrolled/", "One empty file for each enrolled user."),
            (
                "/var/lib/claude-auth-sync/published/",
                "Published state of each user, which status and metrics read.",
            ),
            (
                "/var/lib/claude-auth-sync/provisioned/",
                "Records of users that the roster enrolled: the accessors of their tokens, no secrets.",
            ),
            ("/run/claude-auth-sync/", "Requests of logins for a sync."),
            ("/usr/share/claude-auth-sync/vault/", "Policies and the token role for the store."),
        ],
    ),
];
