#!/bin/bash
# A sync of the legacy script, rewritten from its description: it runs the command line of the store, jq and claude. Its
# flaws are kept, because they determine its cost.
set -u
config=$HOME/.config/claude-auth-sync
state=$HOME/.local/state/claude-auth-sync
login=$HOME/.claude/.credentials.json
path=secret/workstation/claude-users/alice

report() {
    printf '%s %s %s\n' "$(date --iso-8601=seconds)" "$1" "$2" >>"$state/sync.log"
    printf '%s %s\n' "$1" "$2"
}

exec 9>"$state/script.lock"
flock --nonblock 9 || { report SKIP 'another run is at work'; exit 0; }

BAO_TOKEN=$(<"$config/vault-token")
export BAO_TOKEN
name=$(bao token lookup -format=json | jq --raw-output .data.display_name)
[ "$name" = token-devvm-claude-auth-alice ] || { report FAIL "the token is of $name"; exit 1; }
bao token renew >/dev/null || { report FAIL 'the token cannot be renewed'; exit 1; }

if token=$(bao kv get -field=setup_token "$path" 2>/dev/null) && [ -n "$token" ]; then
    printf 'CLAUDE_CODE_OAUTH_TOKEN=%s\n' "$token" >"$config/claude-oauth.env"
    report OK 'setup-token in use'
    exit 0
fi
rm -f "$config/claude-oauth.env"

if [ "${1:-}" = --probe ]; then
    timeout 60 claude -p 'Reply with exactly AUTH_OK and nothing else.' --model haiku --max-turns 1 |
        grep --quiet AUTH_OK || { report FAIL 'not authenticated'; exit 1; }
fi

object=$(jq --compact-output .claudeAiOauth "$login")
expires=$(jq --raw-output .claudeAiOauth.expiresAt "$login")
fields=(claude_ai_oauth_json="$object" credential_expires_at_ms="$expires" backed_up_at="$(date --iso-8601=seconds)")
if bao kv get "$path" >/dev/null 2>&1; then
    bao kv patch -method=rw "$path" "${fields[@]}" >/dev/null || { report WARN 'not backed up'; exit 1; }
else
    bao kv put "$path" "${fields[@]}" >/dev/null || { report WARN 'not backed up'; exit 1; }
fi
report OK 'verified and backed up'
