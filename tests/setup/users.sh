#!/bin/bash
# users.sh FOLDER - creates the users of the scenarios in FOLDER/root, and their ssh key in FOLDER. Needs root.
#
#   alice   bash; may run every command by sudo without a password
#   bob     bash; no sudo
#   carol   zsh
#
# The password of a user is the name followed by -password. root logs in with the same key.
set -euo pipefail
folder=$1 root=$1/root

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 "$@"; }

ssh-keygen -q -t ed25519 -N '' -C guest -f "$folder/key"

for user in alice:/bin/bash bob:/bin/bash carol:/usr/bin/zsh; do
    name=${user%%:*}
    inside useradd --create-home --shell "${user#*:}" "$name"
    echo "$name:$name-password" | inside chpasswd
done
echo root:root-password | inside chpasswd
# zsh asks a new user questions unless there is a start file.
inside install -m 644 -o carol -g carol /dev/null /home/carol/.zshrc

# One list for all users, outside of the homes: some scenarios have no readable home.
install -m 644 "$folder/key.pub" "$root/etc/ssh/authorized_keys"

# rsync, git and scp inside the guest use the same key.
install -d -m 700 "$root/root/.ssh"
install -m 600 "$folder/key" "$root/root/.ssh/id_ed25519"
printf 'Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n' >"$root/root/.ssh/config"

echo 'alice ALL=(ALL:ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/alice"
chmod 440 "$root/etc/sudoers.d/alice"

# Hundreds of logins at once are a scenario; sshd's defaults would refuse some of them.
printf '%s\n' 'MaxStartups 500:30:600' 'MaxSessions 200' 'UseDNS no' 'AuthorizedKeysFile /etc/ssh/authorized_keys' \
    >"$root/etc/ssh/sshd_config.d/scenarios.conf"

echo guest >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 guest\n::1 localhost\n' >"$root/etc/hosts"
# An id from the start: it is not the first boot, so systemd does not apply presets or ask for a locale.
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"

# Only the scenarios start programs, and none waits for a console.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    console-getty.service getty.target exim4.service exim4-base.timer man-db.timer systemd-tmpfiles-clean.timer; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

# Of no use in a guest, and a quarter of the processor time of its boot.
for unit in systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-sysusers.service \
    systemd-sysctl.service systemd-remount-fs.service systemd-journal-flush.service systemd-initctl.socket \
    systemd-ask-password-console.path systemd-ask-password-wall.path dev-hugepages.mount dev-mqueue.mount \
    cryptsetup.target veritysetup.target integritysetup.target; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
# Of no use either, and run at each boot and at each daemon-reload, also those of dpkg and of the product.
install -d -m 755 "$root/etc/systemd/system-generators"
for generator in "$root"/usr/lib/systemd/system-generators/*; do
    ln -sf /dev/null "$root/etc/systemd/system-generators/${generator##*/}"
done
