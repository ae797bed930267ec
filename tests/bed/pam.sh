#!/bin/sh -e
# Installs what the suite of the PAM module needs from Debian: libpam's headers to link with, binutils to look at the
# result, and unshare and mount for its private namespace. Does nothing when all is there.
missing=
for package in libpam0g-dev binutils util-linux mount; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -z "$missing" ] || DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing
