# The policy found on workstations that used the shell script; it works as well. Prefer user-policy.hcl, which lets the
# server merge and refuses to have the whole document replaced.

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
