# Karo's hook for fish 3.5 and newer: a record at the start and at the end of each line that was typed and run.
#
# fish hands the typed text to its events, and its builtins write files, so nothing is forked in spool mode; in client
# mode one background child takes each record. fish has no clock of its own: the time is that of /proc/uptime, in steps
# of 10 ms, beside the wall clock as it was when the hook was loaded and every 64 lines after that.
#
# A function call, and even more a command substitution, is dear in fish: the usual case has few of both.
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
        # Whatever came before without an end never gets one.
        set __karo_text
        # A leading space, comments alone, private mode and an empty name of the history are ways to say "not this".
        if string match -qr '^(?: |(?:[ \t]*(?:#[^\n]*)?(?:\n|$))+$)' -- "$argv[1]"; or test "$KARO_PAUSE" = 1
            return
        end
        if set -q fish_private_mode; or set -q fish_history; and test -z "$fish_history"
            return
        end
        set __karo_text $argv[1]
        set __karo_cwd $PWD
        # Numbers come from a list that is filled every 64 lines, together with whatever is due from time to time.
        set -q __karo_numbers[2]
        or __karo_refill
        set -e __karo_numbers[1]
        read -l up rest </proc/uptime
        set __karo_started (math "round($up * 1000000) + $__karo_clock")
        string match -qr '^.{4000}' -- "$__karo_text$__karo_cwd"
        and __karo_limit
        __karo_deliver start s '' '' ''
    end

    function __karo_postexec --on-event fish_postexec
        set -l outcome $status $pipestatus
        set -q __karo_text[1]
        or return
        read -l up rest </proc/uptime
        __karo_deliver end e $outcome[1] "$outcome[2..]" (math "max(round($up * 1000000) + $__karo_clock - $__karo_started, 0)")
        set __karo_text
    end

    function __karo_exit --on-event fish_exit
        set -l outcome $status $pipestatus
        set -q __karo_text[1]
        or return
        read -l up rest </proc/uptime
        __karo_deliver end e $outcome[1] "$outcome[2..]" (math "max(round($up * 1000000) + $__karo_clock - $__karo_started, 0)")
        set __karo_text
    end

    # Sends one side of a command on its way. The arguments: the phase, its letter, exit status, pipeline, duration.
    function __karo_deliver
        if test $__karo_mode = client -a -x $__karo_observe
            if test -S $__karo_socket; or __karo_is_reachable
                __karo_send $argv
                set __karo_dropped 0
                return
            end
        end
        if test $__karo_dropped = 0
            # The spool may be full, or gone. What fish says of a redirection that failed cannot be silenced.
            if set -q __karo_spool[1]; and test -w "$__karo_spool"
                set -l before $umask
                set umask 0077
                printf $__karo_format $argv $__karo_numbers[1] $__karo_started $__karo_dropped $__karo_cut \
                    $__karo_cwd_cut "$__karo_cwd" "$__karo_text" >?$__karo_spool/$__karo_id.$__karo_numbers[1].$argv[2]
                set -l outcome $status
                set umask $before
                test $outcome = 0
                and return
                __karo_give_up $argv[2]
            end
        else if __karo_write_again $argv
            set __karo_dropped 0
            return
        end
        # An end alone is a whole record, so a start that is missing is no loss.
        if test $argv[1] = end
            # The place may be gone with the session that it was made for; it is sought again, ever more seldom.
            if test (math "bitand($__karo_dropped, $__karo_dropped + 1)") = 0
                __karo_place
                if __karo_write_again $argv
                    set __karo_dropped 0
                    return
                end
            end
            set __karo_dropped (math $__karo_dropped + 1)
        end
    end

    # Writes the first record after one that was dropped. When a disk is full fish itself says so on the terminal,
    # whatever is redirected; tee can be silenced.
    function __karo_write_again
        set -q __karo_spool[1]
        or __karo_count
        or return 1
        test -w "$__karo_spool"
        or return 1
        set -l file $__karo_spool/$__karo_id.$__karo_numbers[1].$argv[2]
        set -l before $umask
        set umask 0077
        printf $__karo_format $argv $__karo_numbers[1] $__karo_started $__karo_dropped $__karo_cut $__karo_cwd_cut \
            "$__karo_cwd" "$__karo_text" | command tee -- $file >/dev/null 2>/dev/null
        set -l outcome $status
        set umask $before
        test $outcome = 0
        and return
        __karo_give_up $argv[2]
        return 1
    end

    # An empty file says that its writer gave it up: builtins cannot unlink.
    function __karo_give_up
        set -l file $__karo_spool/$__karo_id.$__karo_numbers[1].$argv[1]
        test -f $file
        and true >$file
    end

    # Tells whether the client could put the record into a spool.
    function __karo_is_reachable
        set -l at $__karo_client_spool
        while not test -e "$at"; and string match -q '*/?*' -- $at
            set at (string replace -r '/[^/]*$' '' -- $at)
        end
        test -z "$at"
        and set at /
        test -w $at
        or test -n "$__karo_spool" -a -w "$__karo_spool"
    end

    # One child in the background, of which the job table and $last_pid keep nothing. In a group of its own it does not
    # go down with the terminal.
    function __karo_send
        set -lx KARO_COMMAND $__karo_text
        set -lx KARO_CWD $__karo_cwd
        set -l before $last_pid
        set -l control interactive
        status is-full-job-control
        and set control full
        status job-control full
        command $__karo_observe $argv[1] $__karo_options --exit "$argv[3]" --pipestatus "$argv[4]" \
            --duration-us "$argv[5]" --seq $__karo_numbers[1] --started-us $__karo_started --dropped $__karo_dropped \
            --command-cut $__karo_cut --cwd-cut $__karo_cwd_cut </dev/null >/dev/null 2>&1 &
        disown $last_pid 2>/dev/null
        status job-control $control
        if set -q before[1]
            set -g last_pid $before
        else
            set -eg last_pid
        end
    end

    # The next 64 numbers; and the clock, and whether the spool has room for their records.
    function __karo_refill
        set -l last $__karo_numbers[1]
        set __karo_numbers $last
        for step in (string split ' ' -- $__karo_steps)
            set -a __karo_numbers (math $last + $step)
        end
        __karo_set_clock
        test $__karo_mode = client -a -x $__karo_observe
        or __karo_count
    end

    # Holds the spool below 4,096 files: it is closed when 64 lines would not fit any more, and opened again when one of
    # two files that were there then has been taken.
    function __karo_count
        if set -q __karo_full[1]
            test -e "$__karo_full[1]" -a -e "$__karo_full[-1]"
            and return 1
            set __karo_full
        end
        set -q __karo_place[1]
        or return 1
        set -l files $__karo_place/*
        if test (count $files) -gt 3900
            set __karo_full $files[1] $files[-1]
            set __karo_spool
            return 1
        end
        set __karo_spool $__karo_place
    end

    # Sets the wall clock at boot, in microseconds since the epoch.
    function __karo_set_clock
        set -l fine (command date +%s%N)
        read -l up rest </proc/uptime
        if string match -qr '^\d{19}$' -- $fine
            set -g __karo_clock (math (string sub -l 16 -- $fine) - "round($up * 1000000)")
        else
            # A date that knows no fractions.
            set -g __karo_clock (math (command date +%s) "* 1000000 - round($up * 1000000)")
        end
    end

    # Cuts text and directory to their limits, which are in bytes; fish counts characters.
    function __karo_limit
        set __karo_cut 0
        set __karo_cwd_cut 0
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

    # Finds the spool: an own directory in which nobody else may write. Forks, but once for each shell.
    function __karo_place
        set __karo_place
        set __karo_spool
        set __karo_full
        for at in $__karo_hook_spool $__karo_client_spool
            string match -q '/*' -- $at
            or continue
            if not test -d $at
                # With the user's umask the directories above it might be open to others.
                set -l before $umask
                set umask 0077
                command mkdir -p -- $at
                set umask $before
            end
            if test -d $at -a ! -L $at -a -O $at -a -w $at
                # Nobody else may write there.
                set -l mode (command stat -c %a -- $at; or echo 700)
                if string match -qr '[0145][0145]$' -- $mode
                    set __karo_place $at
                    __karo_count
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
        set -l fields shell=fish shell_id=$__karo_id precision_us=10000 "user=$USER" "host=$hostname" "tty=$tty" \
            ssh=$ssh pid=$fish_pid "pid_start=$words[20]" "boot_id=$boot" "pid_ns=$pid_ns" "parent=$parent"
        # The format of a record, with what never changes written into it. `side` is not read by anybody.
        set -l fixed (string replace -a '\\' '\\\\' -- $fields | string replace -a % %% | string join '\0')
        set -l changing phase side exit pipestatus duration_us seq started_us dropped command_cut cwd_cut cwd
        set -g __karo_format 'karo 1\0'$fixed'\0'(string join '=%s\0' -- $changing)'=%s\0command=%s\0end\n'
        set -g __karo_options --socket "$__karo_socket" --spool "$__karo_client_spool" --spool "$__karo_hook_spool"
        for field in $fields
            set -l parts (string split -m 1 = -- $field)
            set -a __karo_options --(string replace -a _ - -- $parts[1]) "$parts[2]"
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
        set -g __karo_numbers 0
        set -g __karo_steps (string join ' ' -- (string split '' -- 123456789) (
            for ten in 1 2 3 4 5
                for one in 0 1 2 3 4 5 6 7 8 9
                    echo $ten$one
                end
            end) 60 61 62 63 64)
        set -g __karo_dropped 0
        set -g __karo_text
        set -g __karo_cwd
        set -g __karo_cut 0
        set -g __karo_cwd_cut 0
        set -g __karo_place
        set -g __karo_spool
        set -g __karo_full
        set -g __karo_started 0
        set -g __karo_clock 0
        __karo_describe
        __karo_place
        __karo_refill
    end

    __karo_load
end 2>/dev/null
