# /usr/share/claude-auth-sync/claude-auth-sync.zsh: the same as claude-auth-sync.sh in
# /etc/profile.d. Debian's zsh does not read /etc/profile, so an administrator adds a line to
# /etc/zsh/zprofile (login shells) or /etc/zsh/zshrc:
#
#   [[ -r /usr/share/claude-auth-sync/claude-auth-sync.zsh ]] && source /usr/share/claude-auth-sync/claude-auth-sync.zsh

if [[ -n ${USER-} && -f /var/lib/claude-auth-sync/enrolled/$USER && -O ${HOME-} ]]; then
    () {
        emulate -L zsh
        local text file=$HOME/.config/claude-auth-sync/claude-oauth.env
        # An existing token stays, and a traced shell would print the token.
        if [[ -z ${CLAUDE_CODE_OAUTH_TOKEN:+set} && -f $file && ! -o xtrace ]]; then
            text=$(/usr/bin/cas-session environment 2>/dev/null </dev/null) || text=
            case ${text#CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-} in
                ('' | $text) ;;
                (*[^ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-]*) ;;
                (*) export $text ;;
            esac
        fi
        file=$HOME/.local/state/claude-auth-sync/notice
        # The program knows when it was last shown.
        if [[ -o interactive && -o login && -t 2 && -f $file ]]; then
            text=$(/usr/bin/cas-session notice 2>/dev/null </dev/null) || text=
            [[ -z $text ]] || print -r -u2 -- $text || :
        fi
        return 0
    }
fi
