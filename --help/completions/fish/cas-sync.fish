# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_cas_sync_global_optspecs
    string join \n h/help V/version
end

function __fish_cas_sync_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_cas_sync_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_cas_sync_using_subcommand
    set -l cmd (__fish_cas_sync_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c cas-sync -n "__fish_cas_sync_needs_command" -s h -l help -d 'Print help'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -s V -l version -d 'Print version'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "run" -d 'Verify, restore and back up your login now'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "check" -d 'Check whether the active credential stays valid long enough'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "verify" -d 'Verify the active credential with one real request'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "backup" -d 'Back up your login to the local history and the store'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "restore" -d 'Restore a backup over an unusable or rejected login'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "watch" -d 'Restore your login file when another program overwrites it'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "enroll" -d 'Enroll a user (root)'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "unenroll" -d 'Unenroll users; keep their files and backups (root)'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "provision" -d 'Apply the roster: enroll listed users, unenroll removed ones (root)'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "status" -d 'Show the state of your login, or of all enrolled users'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "metrics" -d 'Print the state of all enrolled users for Prometheus (root)'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "login" -d 'Sign in to Claude Code with a browser on any device'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "logout" -d 'Sign out: revoke and delete your login and its backups'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "token" -d 'Activate, show or remove your setup token'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "doctor" -d 'Find problems and print the command that fixes each'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "sessions" -d 'List processes that hold a replaced setup token'
complete -c cas-sync -n "__fish_cas_sync_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand run" -l no-verify -d 'Do not verify; requests for a verification stay open'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand check" -l min-remaining -d 'Required validity from now: a number and ms, s, min, h or d' -r
complete -c cas-sync -n "__fish_cas_sync_using_subcommand check" -l verified-within -d 'Required age of the last verification, at most' -r
complete -c cas-sync -n "__fish_cas_sync_using_subcommand check" -s q -l quiet -d 'Print nothing'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand check" -l json -d 'Print one JSON object'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand verify" -l setup-token -d 'Verify the setup token only'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand verify" -l login -d 'Verify the login, even if a setup token is active'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand verify" -l json -d 'Print one JSON object'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand backup" -l verify -d 'Verify the login first, and back it up only if it works'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand backup" -l json -d 'Print one JSON object'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand restore" -l from -d 'Restore only from this place' -r -f -a "history\t'The local history of this machine'
store\t'The store'"
complete -c cas-sync -n "__fish_cas_sync_using_subcommand restore" -l generation -d 'Restore only this backup, named as in --list' -r
complete -c cas-sync -n "__fish_cas_sync_using_subcommand restore" -l dry-run -d 'Print what would be restored, and change nothing'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand restore" -l list -d 'List the backups and whether each can be restored'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand restore" -l from-other-machine -d 'Also restore a backup of another machine, which this one replaces'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand restore" -l no-verify -d 'Do not verify before or after'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand restore" -l json -d 'Print one JSON object'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand enroll" -l no-watch -d 'Do not run the watcher'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand enroll" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand unenroll" -l all -d 'Unenroll all users, as the removal of the package does'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand unenroll" -l stop -d 'Wait until the user\'s units have ended, for userdel(8) or usermod(8); up to 90 seconds if Claude Code refreshes the login'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand unenroll" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand provision" -l user -d 'Provision only this user; can be repeated' -r -f -a "(__fish_complete_users)"
complete -c cas-sync -n "__fish_cas_sync_using_subcommand provision" -l roster -d 'Read this roster' -r -F
complete -c cas-sync -n "__fish_cas_sync_using_subcommand provision" -l admin-token-file -d 'Read the administrator token from this file; - is stdin' -r -F
complete -c cas-sync -n "__fish_cas_sync_using_subcommand provision" -l offboard -d 'Offboard users even if the roster looks incomplete: it ends without a newline, lists a name without an account, or lacks more than half of the enrolled users; with names, only these. Marks their documents in the store' -r
complete -c cas-sync -n "__fish_cas_sync_using_subcommand provision" -l adopt -d 'Bind a reused or offboarded name to its account; can be repeated' -r
complete -c cas-sync -n "__fish_cas_sync_using_subcommand provision" -l dry-run -d 'Print the plan and change nothing'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand provision" -l rewrite-policies -d 'Replace policies that are too broad or too narrow'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand provision" -l delete-document -d 'Delete documents of offboarded users instead of marking them'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand provision" -l print-policy -d 'Print the least policies and the token role, and exit'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand provision" -l json -d 'Print one JSON object'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand provision" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand status" -l json -d 'Print one JSON object'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand metrics" -l output -d 'Replace this file; its name must end in .prom' -r -F
complete -c cas-sync -n "__fish_cas_sync_using_subcommand metrics" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand login" -l email -d 'Email to sign in with; the default is that of your last login' -r -f
complete -c cas-sync -n "__fish_cas_sync_using_subcommand login" -l switch-account -d 'Accept another account or organization than the current one'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand login" -l unverified -d 'Accept the login if its verification is inconclusive'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand login" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand logout" -l yes -d 'Do not ask for confirmation'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand logout" -l keep-backups -d 'Keep the backups, and do not revoke the login'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand logout" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and not __fish_seen_subcommand_from set show clear import help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and not __fish_seen_subcommand_from set show clear import help" -f -a "set" -d 'Verify a setup token and activate it'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and not __fish_seen_subcommand_from set show clear import help" -f -a "show" -d 'Show the fingerprint, the places and the expiry of your setup token'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and not __fish_seen_subcommand_from set show clear import help" -f -a "clear" -d 'Remove your setup token from the store and the env file'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and not __fish_seen_subcommand_from set show clear import help" -f -a "import" -d 'Verify the setup token in the env file and store it'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and not __fish_seen_subcommand_from set show clear import help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from set" -l minted-at -d 'Creation date, such as 2026-11-21; the default is now' -r
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from set" -l unverified -d 'Accept the token if its verification is inconclusive'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from show" -l json -d 'Print one JSON object'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from clear" -l yes -d 'Do not ask for confirmation'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from clear" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from import" -l minted-at -d 'Creation date, such as 2026-11-21; the default is the first sight' -r
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from import" -l unverified -d 'Accept the token if its verification is inconclusive'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "set" -d 'Verify a setup token and activate it'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the fingerprint, the places and the expiry of your setup token'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "clear" -d 'Remove your setup token from the store and the env file'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "import" -d 'Verify the setup token in the env file and store it'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand token; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand doctor" -l fix -d 'Fix file modes and missing syncs; for root also units'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand doctor" -l dry-run -d 'With --fix, print what would be fixed'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand doctor" -s v -l verbose -d 'Show also the checks without a problem'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand doctor" -l json -d 'Print one JSON object'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand sessions" -l all -d 'Show also processes with the active token or none'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand sessions" -l json -d 'Print one JSON object'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand sessions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "run" -d 'Verify, restore and back up your login now'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "check" -d 'Check whether the active credential stays valid long enough'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "verify" -d 'Verify the active credential with one real request'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "backup" -d 'Back up your login to the local history and the store'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "restore" -d 'Restore a backup over an unusable or rejected login'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "watch" -d 'Restore your login file when another program overwrites it'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "enroll" -d 'Enroll a user (root)'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "unenroll" -d 'Unenroll users; keep their files and backups (root)'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "provision" -d 'Apply the roster: enroll listed users, unenroll removed ones (root)'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "status" -d 'Show the state of your login, or of all enrolled users'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "metrics" -d 'Print the state of all enrolled users for Prometheus (root)'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "login" -d 'Sign in to Claude Code with a browser on any device'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "logout" -d 'Sign out: revoke and delete your login and its backups'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "token" -d 'Activate, show or remove your setup token'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "doctor" -d 'Find problems and print the command that fixes each'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "sessions" -d 'List processes that hold a replaced setup token'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and not __fish_seen_subcommand_from run check verify backup restore watch enroll unenroll provision status metrics login logout token doctor sessions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and __fish_seen_subcommand_from token" -f -a "set" -d 'Verify a setup token and activate it'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and __fish_seen_subcommand_from token" -f -a "show" -d 'Show the fingerprint, the places and the expiry of your setup token'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and __fish_seen_subcommand_from token" -f -a "clear" -d 'Remove your setup token from the store and the env file'
complete -c cas-sync -n "__fish_cas_sync_using_subcommand help; and __fish_seen_subcommand_from token" -f -a "import" -d 'Verify the setup token in the env file and store it'
