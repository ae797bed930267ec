#!/bin/sh
# start-claude.sh [SESSION [ARGUMENT...]] - goes on with your tmux session of that name (claude), or starts it: Claude Code
# with these arguments.
#
# A tmux server keeps the environment of the login that started it, perhaps weeks ago. `cas-session exec` gives Claude Code the
# setup-token of now, and takes one away that was withdrawn; it waits, for three seconds at most, for a repair in progress.
set -eu
session=${1:-claude}
if [ $# -gt 0 ]; then shift; fi
exec tmux new-session -A -s "$session" cas-session exec -- claude "$@"
