# The policy of workstations that used the shell script. It works too. Prefer user-policy.hcl, with
# which the server merges and refuses to replace the whole document.

path "secret/data/workstation/claude-users/USER" {
  capabilities = ["create", "read", "update"]
}

path "secret/metadata/workstation/claude-users/USER" {
  capabilities = ["read"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
