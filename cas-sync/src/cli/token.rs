//! What is asked of `cas-sync token`.

use clap::{Args, Subcommand};

/// What is to be done about the caller's setup-token.
#[derive(Args)]
pub(crate) struct Token {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Put a setup-token in force, once `claude` was answered with it.
    ///
    /// It is asked for at the terminal, which does not show it, or read from the standard input to its end: never give it as an
    /// argument. White space around it and line breaks in it, as a narrow terminal makes them, are dropped. The one before
    /// stays in force until the new one has answered, and whatever goes wrong, all is as before. It is kept in the store, with
    /// the days on which it was made and lapses, and in ~/.config/claude-auth-sync/claude-oauth.env for your next sessions;
    /// what runs already keeps what it was started with.
    ///
    /// Exit status: 0 in force; 79 the server rejects it, make another one; 69 `claude` is missing or unusable, 75 nobody could
    /// say whether it works, or the store or a sync is busy (for both: nothing was changed); 77 refused by the store, 78
    /// configuration, 2 usage, 1 anything else, such as a text that is no setup-token.
    Set(TokenSet),
    /// Say which setup-token is in force, where it lies, and until when: by its fingerprint, never the token itself.
    ///
    /// Exit status: 0 said, whether there is one or not; 75 the store did not answer, 77 it refused, 78 configuration: what is
    /// known without it is said all the same; 2 usage, 1 anything else.
    Show(TokenShow),
    /// Take your setup-token out of force: in the store, and in your env file.
    ///
    /// Asks first, at a terminal. Claude Code then uses the login that you signed in with. What runs already keeps the token
    /// until it is started again, and the server goes on accepting it: this does not revoke it.
    ///
    /// Exit status: 0 out of force, or there was none; 75 the store or a sync is busy, 77 refused by the store, 78
    /// configuration (for these nothing was changed); 2 usage, also without --yes where nobody can be asked; 1 anything else.
    Clear(TokenClear),
    /// Take the setup-token that lies in your env file already into the store, once `claude` was answered with it.
    ///
    /// For one that was put there by hand, or by the script that claude-auth-sync replaced. Exit status: as for `set`; 1 when
    /// there is none.
    Import(TokenImport),
}

/// How a token is put in force.
#[derive(Args)]
pub(crate) struct TokenSet {
    /// The day on which it was made, such as 2026-11-21, or a time of RFC 3339. Else it was made now.
    #[arg(long, value_name = "DATE")]
    pub(crate) minted_at: Option<String>,
    /// Take it also when nobody could say whether it works: no `claude`, no network, an overload. Never when it is rejected.
    #[arg(long)]
    pub(crate) unverified: bool,
}

/// How a token is shown.
#[derive(Args)]
pub(crate) struct TokenShow {
    /// Print one JSON object for programs instead of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a token is taken out of force.
#[derive(Args)]
pub(crate) struct TokenClear {
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// How a token is taken over.
#[derive(Args)]
pub(crate) struct TokenImport {
    /// The day on which it was made, such as 2026-11-21, or a time of RFC 3339. Else its age counts from when it was seen first.
    #[arg(long, value_name = "DATE")]
    pub(crate) minted_at: Option<String>,
    /// Take it also when nobody could say whether it works: no `claude`, no network, an overload. Never when it is rejected.
    #[arg(long)]
    pub(crate) unverified: bool,
}
