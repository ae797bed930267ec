#!/bin/sh
# Takes everything away that `install.sh` and `cas-sync enroll` put on this machine, in an order in which no login fails:
# first the PAM line, then the files. People's homes, and their copies in a store, stay as they are.
#
# Nobody on the machine can keep it from finishing. What it could not take away it names at the end, with the reason, and
# exits with 1; once the reason is gone, run it again.
set -u

if [ "$(id -u)" != 0 ]; then
    echo "uninstall.sh: this takes root" >&2
    exit 1
fi
multiarch=${DEB_HOST_MULTIARCH:-$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || dpkg --print-architecture | sed 's/amd64/x86_64-linux-gnu/; s/arm64/aarch64-linux-gnu/')}
units=/usr/lib/systemd/system
mount='run-claude\x2dauth\x2dsync.mount'
requests=/run/claude-auth-sync

failures=0
stayed=
stays() {
    failures=$((failures + 1))
    stayed="$stayed
  $1"
}
# Does one thing on which no other depends.
try() {
    said=$("$@" 2>&1) || stays "$said"
}
# The units of ours in one of these states, one a line.
units_that_are() {
    systemctl list-units --plain --no-legend --state="$1" "$2" | cut -d' ' -f1
}

if ! pam-auth-update --package --remove claude-auth-sync; then
    echo "uninstall.sh: pam-auth-update failed, so nothing else was touched; mend what it names, then run this again" >&2
    exit 1
fi
if grep -q pam_cas_session /etc/pam.d/common-session; then
    echo "uninstall.sh: /etc/pam.d/common-session was edited by hand, so pam-auth-update left our line in it;" >&2
    echo "uninstall.sh: remove the line with pam_cas_session.so there, then run this again" >&2
    exit 1
fi

# It says itself what it could not undo. The rest of this script undoes that too, or names it.
for marker in /var/lib/claude-auth-sync/enrolled/*; do
    if [ -e "$marker" ] && [ -x /usr/bin/cas-sync ]; then /usr/bin/cas-sync disenroll "${marker##*/}"; fi
done
enabled=/etc/systemd/system
try rm -f /var/lib/claude-auth-sync/enrolled/* /etc/tmpfiles.d/claude-auth-sync@*.conf \
    "$enabled"/claude-auth-sync*.wants/claude-auth-* "$enabled"/multi-user.target.wants/claude-auth-sync.target
for wants in "$enabled"/claude-auth-sync*.wants; do
    if [ -d "$wants" ]; then try rmdir "$wants"; fi
done
# Masked, for a pause.
if [ -L "$enabled/claude-auth-sync.target" ]; then try rm -f "$enabled/claude-auth-sync.target"; fi

if [ -d /run/systemd/system ]; then
    units_that_are activating,deactivating 'claude-auth-sync@*.service' | while read -r unit; do
        name=${unit#*@}
        printf '%s\n' "uninstall.sh: the sync of ${name%.service} is at work; waiting for its end (up to five minutes, while Claude Code refreshes their login)"
    done
    systemctl stop 'claude-auth-*'
    for unit in $(units_that_are active,activating,deactivating,reloading 'claude-auth-*'); do
        stays "$unit still runs: systemctl status '$unit'"
    done
    systemctl reset-failed 'claude-auth-*'
fi
if mountpoint --quiet "$requests"; then
    # A shell that stands in it makes it busy, and anybody's may.
    if ! systemctl stop "$mount" >/dev/null 2>&1; then
        try umount --lazy "$requests"
        if [ -d /run/systemd/system ]; then systemctl reset-failed "$mount"; fi
    fi
fi
if [ -d "$requests" ] && ! mountpoint --quiet "$requests"; then try rm -r "$requests"; fi

try rm -f "/usr/lib/$multiarch/security/pam_cas_session.so" \
    /usr/bin/cas-session /usr/bin/cas-sync \
    /usr/share/pam-configs/claude-auth-sync \
    /usr/lib/tmpfiles.d/claude-auth-sync.conf \
    /etc/profile.d/claude-auth-sync.sh /usr/share/fish/vendor_conf.d/claude-auth-sync.fish \
    /usr/share/claude-auth-sync/claude-auth-sync.zsh \
    /usr/lib/claude-auth-sync/user-environment-generator /etc/systemd/user-environment-generators/60-claude-auth-sync \
    "$units"/claude-auth-sync.target "$units"/claude-auth-sync@.timer "$units"/claude-auth-sync@.path \
    "$units"/claude-auth-sync@.service "$units"/claude-auth-watch@.service \
    "$units/$mount" "$units/local-fs.target.wants/$mount" \
    /var/lib/systemd/timers/stamp-claude-auth-sync@*.timer
if [ -d /run/systemd/system ]; then try systemctl daemon-reload; fi
for folder in /var/lib/claude-auth-sync/enrolled /var/lib/claude-auth-sync \
    /usr/share/claude-auth-sync /usr/lib/claude-auth-sync; do
    if [ -d "$folder" ]; then try rmdir "$folder"; fi
done

if [ "$failures" != 0 ]; then
    printf '%s\n' "uninstall.sh: everything else is gone, but this stays:$stayed" "uninstall.sh: once the reason is gone, run this again" >&2
    exit 1
fi
echo "claude-auth-sync is gone. /etc/claude-auth-sync, people's homes and the store were left as they are."
