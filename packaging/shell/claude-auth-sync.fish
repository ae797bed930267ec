# /usr/share/fish/vendor_conf.d/claude-auth-sync.fish: the same as claude-auth-sync.sh in
# /etc/profile.d. fish also reads this for scripts and for `ssh host command`, where it does
# nothing.

if status is-login; or status is-interactive
    if set -q USER; and set -q HOME; and test -f "/var/lib/claude-auth-sync/enrolled/$USER"; and test -O "$HOME"
        # An existing token stays, and a traced shell would print the token.
        if not set -q fish_trace; and test -z "$CLAUDE_CODE_OAUTH_TOKEN"; and test -f "$HOME/.config/claude-auth-sync/claude-oauth.env"
            set -l line (/usr/bin/cas-session environment 2>/dev/null </dev/null)
            if test (count $line) -eq 1; and string match -qr '^CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-[A-Za-z0-9_-]+$' -- $line
                set -gx CLAUDE_CODE_OAUTH_TOKEN (string replace CLAUDE_CODE_OAUTH_TOKEN= '' -- $line)
            end
        end
        set -l notice "$HOME/.local/state/claude-auth-sync/notice"
        # The program knows when it was last shown.
        if status is-login; and status is-interactive; and isatty stderr; and test -f "$notice"
            set -l text (/usr/bin/cas-session notice 2>/dev/null </dev/null)
            test -n "$text"; and printf '%s\n' "$text" >&2
        end
    end
end
