#!/bin/sh
# Takes everything away that `install.sh` and `cas-sync enroll` put on this machine, in an order in which no login fails:
# first the PAM line, then the files. People's homes, and their copies in a store, stay as they are.
set -eu

if [ "$(id -u)" != 0 ]; then
    echo "uninstall.sh: this takes root" >&2
    exit 1
fi
multiarch=${DEB_HOST_MULTIARCH:-$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || dpkg --print-architecture | sed 's/amd64/x86_64-linux-gnu/; s/arm64/aarch64-linux-gnu/')}

pam-auth-update --package --remove claude-auth-sync
if grep -q pam_cas_session /etc/pam.d/common-session; then
    echo "uninstall.sh: /etc/pam.d/common-session was edited by hand, so pam-auth-update left our line in it;" >&2
    echo "uninstall.sh: remove the line with pam_cas_session.so there, then run this again" >&2
    exit 1
fi

for marker in /var/lib/claude-auth-sync/enrolled/*; do
    if [ -e "$marker" ]; then /usr/bin/cas-sync disenroll "${marker##*/}"; fi
done
if command -v systemctl >/dev/null; then
    # What was enabled without enrolling anybody, and what was masked.
    for link in /etc/systemd/system/claude-auth-sync.target.wants/claude-auth-*; do
        if [ -L "$link" ]; then systemctl disable --quiet "${link##*/}"; fi
    done
    systemctl unmask --quiet claude-auth-sync.target
    systemctl disable --quiet claude-auth-sync.target
fi
mount='run-claude\x2dauth\x2dsync.mount'
if [ -d /run/systemd/system ]; then
    systemctl stop claude-auth-sync.target 'claude-auth-*'
    systemctl reset-failed 'claude-auth-*'
    systemctl stop "$mount"
fi
units=/usr/lib/systemd/system
rm -f "/usr/lib/$multiarch/security/pam_cas_session.so" \
    /usr/bin/cas-session /usr/bin/cas-sync \
    /usr/share/pam-configs/claude-auth-sync \
    /usr/lib/tmpfiles.d/claude-auth-sync.conf \
    "$units"/claude-auth-sync.target "$units"/claude-auth-sync@.timer "$units"/claude-auth-sync@.path \
    "$units"/claude-auth-sync@.service "$units"/claude-auth-watch@.service \
    "$units/$mount" "$units/local-fs.target.wants/$mount" \
    /var/lib/systemd/timers/stamp-claude-auth-sync@*.timer
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
rmdir /var/lib/claude-auth-sync/enrolled /var/lib/claude-auth-sync
echo "claude-auth-sync is gone. /etc/claude-auth-sync, people's homes and the store were left as they are."
