# The least policy of an admin's token for `cas-sync provision`. The first path is enough where the policies of people and
# the role are there already; the rest lets it create what is missing, revoke tokens, and replace policies that are too wide.

# Mint people's tokens: orphans, periodic, without the default policy, and with policies workstation-claude-* only.
path "auth/token/create/workstation-claude" {
  capabilities = ["create", "update"]
}

# See and create the role through which that is done.
path "auth/token/roles/workstation-claude" {
  capabilities = ["read", "create", "update"]
}

# See, create and replace people's policies.
path "sys/policies/acl/workstation-claude-*" {
  capabilities = ["read", "create", "update"]
}

# Revoke the tokens of those who have left, and those that were replaced.
path "auth/token/revoke-accessor" {
  capabilities = ["update"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}
