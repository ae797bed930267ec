# shellcheck shell=dash
# /etc/profile.d/claude-auth-sync.sh: read by login shells (bash, dash and other POSIX shells), also
# under `set -eu`. For users who are not enrolled it is one test of a file. It sets nothing but the
# variable.

if [ -n "${USER:-}" ] && [ -f "/var/lib/claude-auth-sync/enrolled/$USER" ] && [ -O "${HOME:-}" ]; then
    # Logins have the variable from the PAM module; windows of an older tmux do not. The file's
    # content is never run: the program reads it as a login does, and its one line is checked again.
    # An existing token stays. A shell that traces its commands would print the token, so it gets
    # none.
    if [ -z "${CLAUDE_CODE_OAUTH_TOKEN:+set}" ] && [ -f "$HOME/.config/claude-auth-sync/claude-oauth.env" ]; then
        case $- in
            *x*) ;;
            *)
                claude_auth_sync=$(/usr/bin/cas-session environment 2>/dev/null </dev/null) || claude_auth_sync=
                # Listed one by one, because the range A-Z depends on the locale.
                case ${claude_auth_sync#CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-} in
                    '' | "$claude_auth_sync") ;;
                    *[!ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-]*) ;;
                    *) export "${claude_auth_sync?}" ;;
                esac
                unset claude_auth_sync
                ;;
        esac
    fi
    # The program knows when the notice was last shown. It goes to terminals only, so that no
    # protocol over ssh sees it.
    case $- in
        *i*)
            claude_auth_sync=$HOME/.local/state/claude-auth-sync/notice
            if [ -f "$claude_auth_sync" ] && [ -t 2 ]; then
                claude_auth_sync=$(/usr/bin/cas-session notice 2>/dev/null </dev/null) || claude_auth_sync=
                if [ -n "$claude_auth_sync" ]; then printf '%s\n' "$claude_auth_sync" >&2 || :; fi
            fi
            unset claude_auth_sync
            ;;
    esac
fi
