//! Arguments of `cas-sync token`.

use clap::{Args, Subcommand};

/// Arguments of `token`.
#[derive(Args)]
pub(crate) struct TokenArgs {
    /// The command
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Verify a setup token and activate it
    ///
    /// Reads the token from the terminal without echo, or from the standard input
    /// to its end; a token on the command line is refused. White space and line
    /// breaks are removed. The former token stays active until claude has answered
    /// with the new one. The token is kept in the store, with the dates of its
    /// creation and expiry, and in ~/.config/claude-auth-sync/claude-oauth.env for
    /// new sessions. Running processes keep their token.
    ///
    /// Exit status:
    ///   0   activated
    ///   1   any other failure, such as text that is not a setup token
    ///   2   usage error
    ///   69  claude is missing or unusable; nothing was changed
    ///   75  inconclusive, or the store or a sync is busy; nothing was changed
    ///   77  the store refused access
    ///   78  configuration error
    ///   79  rejected: create another token
    #[command(verbatim_doc_comment)]
    Set(TokenSet),
    /// Show the fingerprint, the places and the expiry of your setup token
    ///
    /// The token itself is never printed.
    ///
    /// Exit status:
    ///   0   shown, or there is no token
    ///   1   any other failure
    ///   2   usage error
    ///   75  the store is not reachable; the rest is shown
    ///   77  the store refused access; the rest is shown
    ///   78  configuration error; the rest is shown
    #[command(verbatim_doc_comment)]
    Show(TokenShow),
    /// Remove your setup token from the store and the env file
    ///
    /// Asks for confirmation at a terminal. Claude Code then uses your login.
    /// Running processes keep the token until they are restarted. This does not
    /// revoke the token: the Anthropic API still accepts it.
    ///
    /// Exit status:
    ///   0   removed, or there was none
    ///   1   any other failure
    ///   2   usage error, also without --yes and without a terminal
    ///   75  the store or a sync is busy; nothing was changed
    ///   77  the store refused access; nothing was changed
    ///   78  configuration error; nothing was changed
    #[command(verbatim_doc_comment)]
    Clear(TokenClear),
    /// Verify the setup token in the env file and store it
    ///
    /// For a token that was written by hand or by the former script, or that a sync
    /// did not copy to Vault.
    ///
    /// Exit status:
    ///   0   stored
    ///   1   there is no token, or any other failure
    ///   2   usage error
    ///   69  claude is missing or unusable; nothing was changed
    ///   75  inconclusive, or the store or a sync is busy; nothing was changed
    ///   77  the store refused access
    ///   78  configuration error
    ///   79  rejected: create another token
    #[command(verbatim_doc_comment)]
    Import(TokenImport),
}

/// Arguments of `token set`.
#[derive(Args)]
pub(crate) struct TokenSet {
    /// Creation date, such as 2026-11-21; the default is now
    #[arg(long, value_name = "DATE")]
    pub(crate) minted_at: Option<String>,
    /// Accept the token if its verification is inconclusive
    #[arg(long)]
    pub(crate) unverified: bool,
}

/// Arguments of `token show`.
#[derive(Args)]
pub(crate) struct TokenShow {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `token clear`.
#[derive(Args)]
pub(crate) struct TokenClear {
    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Arguments of `token import`.
#[derive(Args)]
pub(crate) struct TokenImport {
    /// Creation date, such as 2026-11-21; the default is the first sight
    #[arg(long, value_name = "DATE")]
    pub(crate) minted_at: Option<String>,
    /// Accept the token if its verification is inconclusive
    #[arg(long)]
    pub(crate) unverified: bool,
}
