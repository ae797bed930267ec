# The least policy of one user's token. Replace USER by the account's name. The policy is called
# workstation-claude-USER, which Vault stores in lower case. Without `update` the server refuses to
# replace the whole document, so fields of other tools on the same path cannot be lost through this
# token.

path "secret/data/workstation/claude-users/USER" {
  capabilities = ["read", "create", "patch"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
