# shellcheck shell=sh
# Runs a program in a mount namespace where /var/lib/claude-auth-sync and /dev are in the scratch directory.
# usage: stage.sh SCRATCH PROGRAM ARGUMENT...
scratch=$1
shift
mount -t tmpfs none /var/lib
mkdir /var/lib/claude-auth-sync
mount --bind "$scratch/state" /var/lib/claude-auth-sync
mount -t tmpfs none "$scratch/devices"
touch "$scratch/devices/null" "$scratch/devices/log"
mount --bind /dev/null "$scratch/devices/null"
mount --bind "$scratch/log" "$scratch/devices/log"
mount --move "$scratch/devices" /dev
exec "$@"
