# The least policy of an administrator's token for `cas-sync provision`. The first path is enough if
# the users' policies and the role exist already; the rest permits creating what is missing,
# revoking tokens, and replacing policies that are too broad.

# Create users' tokens: orphans, periodic, without the default policy, and with policies
# workstation-claude-* only.
path "auth/token/create/workstation-claude" {
  capabilities = ["create", "update"]
}

# Read and create the token role.
path "auth/token/roles/workstation-claude" {
  capabilities = ["read", "create", "update"]
}

# Read, create and replace users' policies.
path "sys/policies/acl/workstation-claude-*" {
  capabilities = ["read", "create", "update"]
}

# Revoke the tokens of removed users, and replaced tokens.
path "auth/token/revoke-accessor" {
  capabilities = ["update"]
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

# Delete the documents of offboarded users (`--offboard NAME --delete-document`). Marking them does
# not need this path.
path "secret/metadata/workstation/claude-users/+" {
  capabilities = ["delete"]
}
