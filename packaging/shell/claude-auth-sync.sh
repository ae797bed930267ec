# shellcheck shell=dash
# /etc/profile.d/claude-auth-sync.sh: read by the login shells of everybody whose shell is bash, dash or another POSIX shell,
# also under `set -eu`. For people who are not enrolled it is one look at a name. It leaves nothing behind but the variable.

if [ -n "${USER:-}" ] && [ -f "/var/lib/claude-auth-sync/enrolled/$USER" ] && [ -O "${HOME:-}" ]; then
    # Logins have the variable from the PAM module, and nothing more is done. Windows of an older tmux do not. What lies in
    # the file is never run: the program reads it as a login does, and its one line is looked at again. A token that is there
    # already stays, whoever set it. A shell that traces its commands would print what it is given, so it gets none.
    if [ -z "${CLAUDE_CODE_OAUTH_TOKEN:+set}" ] && [ -f "$HOME/.config/claude-auth-sync/claude-oauth.env" ]; then
        case $- in
            *x*) ;;
            *)
                claude_auth_sync=$(/usr/bin/cas-session environment 2>/dev/null </dev/null) || claude_auth_sync=
                # Letter by letter: what lies between A and Z depends on the locale.
                case ${claude_auth_sync#CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-} in
                    '' | "$claude_auth_sync") ;;
                    *[!ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-]*) ;;
                    *) export "${claude_auth_sync?}" ;;
                esac
                unset claude_auth_sync
                ;;
        esac
    fi
    # The notice is there while there is something to tell its person. The program knows when it was shown last. For eyes only:
    # nothing that speaks over ssh has a terminal there.
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
