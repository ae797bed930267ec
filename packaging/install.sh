#!/bin/sh
# Installs the release build. From the environment, each with its default:
#
#   DESTDIR                   a folder to install into instead of /   (empty)
#   RELEASE                   what packaging/build.sh made            (release/ in CARGO_TARGET_DIR, else in target/)
#   DEB_HOST_MULTIARCH        the folder below /usr/lib that holds security/; asked of dpkg or of the compiler
#
# This changes nobody's login yet. `pam-auth-update --package` enables the module, `cas-sync enroll USER` a person.
set -eu

packaging=$(cd "$(dirname "$0")" && pwd)
release=${RELEASE:-${CARGO_TARGET_DIR:-$packaging/../target}/release}
multiarch=${DEB_HOST_MULTIARCH:-$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || cc -print-multiarch)}
# Nowhere else: libpam, pam-auth-update and the module itself look below /usr. Only login shells' files lie in /etc.
into=${DESTDIR:-}/usr

for built in libpam_cas.so cas-session cas-sync; do
    if [ ! -e "$release/$built" ]; then
        echo "install.sh: $release/$built is missing: run packaging/build.sh first" >&2
        exit 1
    fi
done

# In one step: a login that finds half a module loses its sshd.
put() {
    install -D -m "$1" "$2" "$3.new"
    mv -f "$3.new" "$3"
}

# The file is not called pam_cas.so: that is the module of the Apereo single-sign-on, and replacing it locks people out.
put 644 "$release/libpam_cas.so" "$into/lib/$multiarch/security/pam_cas_session.so"
put 755 "$release/cas-session" "$into/bin/cas-session"
# Not readable: a process of a program that its user cannot read can be traced by nobody but root, from the exec on. The
# watch runs at a priority that people must not get for code of their own.
put 711 "$release/cas-sync" "$into/bin/cas-sync"
put 644 "$packaging/pam-configs/claude-auth-sync" "$into/share/pam-configs/claude-auth-sync"
put 644 "$packaging/tmpfiles.d/claude-auth-sync.conf" "$into/lib/tmpfiles.d/claude-auth-sync.conf"

# systemd names a mount after its place. It is wanted at every boot, before tmpfiles.d makes people's folders in it.
units=$into/lib/systemd/system
mount='run-claude\x2dauth\x2dsync.mount'
put 644 "$packaging/systemd/requests.mount" "$units/$mount"
install -d -m 755 "$units/local-fs.target.wants"
ln -sf "../$mount" "$units/local-fs.target.wants/$mount"

# What runs for people. `cas-sync enroll` enables it.
for unit in claude-auth-sync.target claude-auth-sync@.timer claude-auth-sync@.path claude-auth-sync@.service \
    claude-auth-watch@.service; do
    put 644 "$packaging/systemd/$unit" "$units/$unit"
done

# Login shells. Debian's zsh reads no folder of such files: docs/shells.md has the line for it.
put 644 "$packaging/shell/claude-auth-sync.sh" "${DESTDIR:-}/etc/profile.d/claude-auth-sync.sh"
put 644 "$packaging/shell/claude-auth-sync.zsh" "$into/share/claude-auth-sync/claude-auth-sync.zsh"
put 644 "$packaging/shell/claude-auth-sync.fish" "$into/share/fish/vendor_conf.d/claude-auth-sync.fish"

# For systemd's user managers; an admin enables it with a link (docs/shells.md).
put 755 "$packaging/user-environment-generator" "$into/lib/claude-auth-sync/user-environment-generator"

if [ -z "${DESTDIR:-}" ]; then
    echo "Installed, and nobody's login is changed yet. To go on:"
    echo "  systemctl daemon-reload && systemctl start local-fs.target && systemd-tmpfiles --create"
    echo "  pam-auth-update --package    # adds one optional line to common-session"
    echo "  cas-sync enroll NAME         # for each person who is to be looked after"
fi
