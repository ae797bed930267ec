# The least policy of one user's token. Replace USER by the account's name; the policy itself is called
# workstation-claude-USER, which Vault keeps in lower case.
# Without `update` the server itself refuses to have the whole document replaced: fields of other tools on the same path
# cannot be lost through this token, whatever goes wrong here.

path "secret/data/workstation/claude-users/USER" {
  capabilities = ["read", "create", "patch"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
