# Karo's hook for fish 3.4 and newer: a record at the start and at the end of each line that was typed and run.
#
# fish hands the typed text to its events, and its builtins write files, so nothing is forked in spool mode; in client
# mode one background child takes each record. fish has no clock of its own: the time is that of /proc/uptime, in steps
# of 10 ms, beside the wall clock as it was when the hook was loaded, and again every hour.
#
# The lines with an @ are filled in by the client that prints this script; shell/README.md says with what.

if status is-interactive; and test "$__karo_pid" != $fish_pid

    set -g __karo_uid @KARO_UID@
    set -g __karo_mode @KARO_MODE@
    set -g __karo_observe @KARO_OBSERVE@
    set -g __karo_socket @KARO_SOCKET@
    set -g __karo_hook_spool @KARO_HOOK_SPOOL@
    set -g __karo_client_spool @KARO_CLIENT_SPOOL@

    function __karo_preexec --on-event fish_preexec
        set -g __karo_text
        # An empty name of the history, private mode and a leading space are ways to say "not this".
        if test "$KARO_PAUSE" = 1; or set -q fish_private_mode; or set -q fish_history; and test -z "$fish_history"
            return
        end
        # Comments alone are no command either.
        string match -qr '^(?: |(?:[ \t]*(?:#[^\n]*)?(?:\n|$))+$)' -- "$argv[1]"
        and return
        set __karo_text $argv[1]
        set __karo_cwd $PWD
        set __karo_cut 0
        set __karo_cwd_cut 0
        test (string length -- "$__karo_text$__karo_cwd") -lt 4000
        or __karo_limit
        set __karo_sequence (math $__karo_sequence + 1)
        __karo_now
        set __karo_started $__karo_time
        __karo_deliver start 2>/dev/null
    end

    function __karo_postexec --on-event fish_postexec
        set -l outcome $status $pipestatus
        test -n "$__karo_text"
        and __karo_end $outcome
    end

    function __karo_exit --on-event fish_exit
        set -l outcome $status $pipestatus
        test -n "$__karo_text"
        and __karo_end $outcome
    end

    # The arguments are the exit status of the line and those of its pipeline.
    function __karo_end
        __karo_now
        __karo_deliver end $argv[1] (math "max($__karo_time - $__karo_started, 0)") "$argv[2..]" 2>/dev/null
        set __karo_text
    end

    # Sets __karo_time, in microseconds since the epoch.
    function __karo_now
        read -l up rest </proc/uptime
        set up (string replace . '' -- $up)
        test $up -lt $__karo_clock_until
        or __karo_set_clock $up
        set __karo_time (math $up x 10000 + $__karo_clock)
    end

    # Sets the wall clock at boot. The argument is the uptime in hundredths of a second.
    function __karo_set_clock
        set -g __karo_clock_until (math $argv[1] + 360000)
        set -g __karo_clock (math (command date +%s) x 1000000 - $argv[1] x 10000)
        # Where date knows them, the fraction of the second belongs to it.
        set -l fine (command date +%s%N)
        if string match -qr '^\d{19}$' -- $fine
            read -l up rest </proc/uptime
            set -g __karo_clock (math (string sub -l 16 -- $fine) - (string replace . '' -- $up) x 10000)
        end
    end

    # Cuts text and directory to their limits, which are in bytes; fish counts characters.
    function __karo_limit
        test (string length -- "$__karo_text") -le 16000
        or test (printf %s "$__karo_text" | command wc -c) -le 65536
        or begin
            set __karo_text (printf %s "$__karo_text" | command head -c 65536 | string collect -N)
            set __karo_cut 1
        end
        test (string length -- "$__karo_cwd") -le 1000
        or test (printf %s "$__karo_cwd" | command wc -c) -le 4096
        or begin
            set __karo_cwd (printf %s "$__karo_cwd" | command head -c 4096 | string collect -N)
            set __karo_cwd_cut 1
        end
    end

    # Sends one side of a command on its way: start, or end with exit status, duration and pipeline.
    function __karo_deliver
        if test $__karo_mode = client; and test -x $__karo_observe; and __karo_is_reachable
            __karo_send $argv
            set __karo_dropped 0
        else if __karo_write $argv
            set __karo_dropped 0
        else if test $argv[1] = end
            set __karo_dropped (math $__karo_dropped + 1)
            # The place may be gone with the session that it was made for; it is sought again, ever more seldom.
            test (math "bitand($__karo_dropped, $__karo_dropped - 1)") -ne 0
            or __karo_place
        end
    end

    # Tells whether the client could put the record anywhere: to a socket, or into a spool.
    function __karo_is_reachable
        test -S $__karo_socket
        and return
        set -l at $__karo_client_spool
        while not test -e "$at"; and string match -q '*/?*' -- $at
            set at (string replace -r '/[^/]*$' '' -- $at)
        end
        test -z "$at"
        and set at /
        test -w $at
        or test -n "$__karo_spool" -a -w "$__karo_spool"
    end

    # One child in the background, of which the job table and $last_pid keep nothing.
    function __karo_send
        set -l given --seq $__karo_sequence --started-us $__karo_started --dropped $__karo_dropped
        set -a given --precision-us 10000 --command-cut $__karo_cut --cwd-cut $__karo_cwd_cut
        test $argv[1] = start
        or set -a given --exit $argv[2] --duration-us $argv[3] --pipestatus $argv[4]
        set -lx KARO_COMMAND $__karo_text
        set -lx KARO_CWD $__karo_cwd
        set -l before $last_pid
        # In a group of its own the child does not go down with the terminal.
        set -l control interactive
        status is-full-job-control
        and set control full
        status is-no-job-control
        and set control none
        status job-control full
        command $__karo_observe $argv[1] $__karo_options $given </dev/null >/dev/null 2>&1 &
        disown $last_pid
        status job-control $control
        if set -q before[1]
            set -g last_pid $before
        else
            set -eg last_pid
        end
    end

    # Writes one file, 0600 from its creation, that nobody has written before.
    function __karo_write
        test -n "$__karo_spool"
        and __karo_has_room
        or return 1
        set -l file $__karo_spool/$__karo_id.$__karo_sequence.(string sub -l 1 -- $argv[1])
        set -l given phase=$argv[1] seq=$__karo_sequence started_us=$__karo_started dropped=$__karo_dropped
        set -a given command_cut=$__karo_cut cwd_cut=$__karo_cwd_cut cwd=$__karo_cwd
        test $argv[1] = start
        or set -a given exit=$argv[2] duration_us=$argv[3] pipestatus=$argv[4]
        set -l before $umask
        set umask 0077
        if test $__karo_dropped -eq 0
            begin
                printf '%s\0' 'karo 1' $__karo_fields $given
                and printf 'command=%s\0end\n' $__karo_text
            end >?$file
        else
            # When a disk is full, fish itself says so on the terminal, whatever is redirected; tee can be silenced.
            begin
                printf '%s\0' 'karo 1' $__karo_fields $given
                printf 'command=%s\0end\n' $__karo_text
            end | command tee -- $file >/dev/null
        end
        set -l outcome $status
        set umask $before
        test $outcome -eq 0
        and return
        # An empty file says that its writer gave it up: builtins cannot unlink.
        test -f $file
        and true >$file
        return 1
    end

    # Holds the spool below 4,096 files. Counting is dear, so one count is good for an eighth of what is left; when the
    # spool is full, a look at two files that were there tells whether anybody has taken one since.
    function __karo_has_room
        if test $__karo_room -gt 0
            set __karo_room (math $__karo_room - 1)
            return 0
        end
        test -n "$__karo_full" -a -e "$__karo_full" -a -e "$__karo_full_too"
        and return 1
        set -l files $__karo_spool/*
        set __karo_full
        if test (count $files) -gt 4032
            set __karo_full $files[1]
            set __karo_full_too $files[-1]
            return 1
        end
        set __karo_room (math -s0 "(4096 - $(count $files)) / 8 - 1")
        return 0
    end

    # Finds the spool: an own directory in which nobody else may write. Forks, but once for each shell.
    function __karo_place
        set __karo_spool
        set __karo_room 0
        set __karo_full
        for at in $__karo_hook_spool $__karo_client_spool
            string match -q '/*' -- $at
            or continue
            test -d $at
            or command mkdir -p -m 700 -- $at
            if test -d $at -a ! -L $at -a -O $at -a -w $at
                # Nobody else may write there.
                set -l mode (command stat -c %a -- $at; or echo 700)
                if string match -qr '[0145][0145]$' -- $mode
                    set __karo_spool $at
                    return
                end
            end
        end
    end

    # What is the same for every record of this shell.
    function __karo_describe
        read -l a </proc/sys/kernel/random/uuid
        read -l b </proc/sys/kernel/random/uuid
        set -g __karo_id (string sub -l 8 -- $a)(string sub -s 10 -l 4 -- $a)(string sub -l 8 -- $b)(
            string sub -s 10 -l 4 -- $b)(string sub -s 29 -l 8 -- $a)
        test (string length -- "$__karo_id") -eq 32
        or set __karo_id (command od -An -N16 -tx1 /dev/urandom | string join '' | string replace -a ' ' '')
        read -l boot </proc/sys/kernel/random/boot_id
        read -l line </proc/$fish_pid/stat
        set -l words (string split ' ' -- (string replace -r '^.*\) ' '' -- $line))
        read -l parent </proc/$words[2]/comm
        set -l pid_ns (string replace -rf '.*\[(\d+)\]$' '$1' -- (command readlink /proc/$fish_pid/ns/pid))
        set -l tty (command tty | string replace /dev/ '')
        set -l ssh 0
        test -n "$SSH_CONNECTION$SSH_CLIENT$SSH_TTY"
        and set ssh 1
        set -g __karo_fields shell=fish shell_id=$__karo_id precision_us=10000 "user=$USER" "host=$hostname" "tty=$tty" \
            ssh=$ssh pid=$fish_pid "pid_start=$words[20]" "boot_id=$boot" "pid_ns=$pid_ns" "parent=$parent"
        set -g __karo_options --socket "$__karo_socket" --spool "$__karo_client_spool"
        for field in $__karo_fields
            set -l parts (string split -m 1 = -- $field)
            test $parts[1] = precision_us
            or set -a __karo_options --(string replace -a _ - -- $parts[1]) "$parts[2]"
        end
    end

    function __karo_load
        # fish sets EUID from 3.5 on; id is for the older.
        set -l uid $EUID
        set -q uid[1]
        or set uid (command id -u)
        if test "$uid" != $__karo_uid
            functions -e __karo_preexec __karo_postexec __karo_exit
            return
        end
        set -g __karo_pid $fish_pid
        set -g __karo_sequence 0
        set -g __karo_dropped 0
        set -g __karo_room 0
        set -g __karo_text
        set -g __karo_cwd
        set -g __karo_cut 0
        set -g __karo_cwd_cut 0
        set -g __karo_spool
        set -g __karo_full
        set -g __karo_full_too
        set -g __karo_time 0
        set -g __karo_started 0
        set -g __karo_clock 0
        set -g __karo_clock_until 0
        __karo_describe
        __karo_place
        __karo_now
    end

    __karo_load
end 2>/dev/null
