#!/bin/sh
# start-claude.sh [SESSION [ARGUMENT...]]: attaches to your tmux session of that name (default:
# claude), or starts it with Claude Code and these arguments.
#
# A tmux server keeps the environment of the login that started it. `cas-session exec` gives Claude
# Code the current setup token, and removes a withdrawn one. It waits for a restore in progress, for
# three seconds at most.
set -eu
session=${1:-claude}
if [ $# -gt 0 ]; then shift; fi
exec tmux new-session -A -s "$session" cas-session exec -- claude "$@"
