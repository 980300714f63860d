# shellcheck shell=bash
# Karo's hook for bash 4.4 and newer: one record for each line that was typed and run.
#
# Nothing is forked to see a command. PS0 marks the start, PROMPT_COMMAND the end, an EXIT trap the last line. The text
# comes from the shell's own history, by way of a scratch file: nothing else in bash gives a compound line as it was
# typed. In spool mode builtins write the record; in client mode one background child takes it.
#
# The lines with an @ are filled in by the client that prints this script; shell/README.md says with what.

if [[ $- == *i* && ${__karo_pid-} != "$$" ]] && ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) &&
    ! builtin shopt -q restricted_shell; then

# With `set -a` in force all this would reach every child.
[[ $- != *a* ]] || { __karo_all=1; set +a; }
__karo_baked_uid=@KARO_UID@
__karo_mode=@KARO_MODE@
__karo_observe=@KARO_OBSERVE@
__karo_socket=@KARO_SOCKET@
__karo_hook_spool=@KARO_HOOK_SPOOL@
__karo_client_spool=@KARO_CLIENT_SPOOL@

# First element of PROMPT_COMMAND. The arguments are the exit status of the line and those of its pipeline.
#
# bash copies a function whenever it is called, so what is rare stands in functions of its own.
__karo_precmd() {
    local -
    set +aefkuvxCET
    __karo_round[0]=1
    ((EUID == __karo_uid)) || return 0
    __karo_exit=$1 __karo_pipes=$2
    (($# < 3)) || builtin printf -v __karo_pipes '%s ' "${@:2}"
    [[ ! $__karo_is_altered || ${HISTCONTROL-} ]] || HISTCONTROL=$__karo_control
    __karo_now=${EPOCHREALTIME//[^0-9]/}
    [[ $__karo_now ]] || builtin printf -v __karo_now '%(%s)T000000' -1
    if ((__karo_at[0] && __karo_at[1] == __karo_round[1] + 1)) && [[ ! ${__karo_pending-}$__karo_umask_kept ]]; then
        __karo_kept
    else
        __karo_other
    fi
    __karo_at=()
    # Of the long ones the length will do.
    { ((${#PS0} + ${#BASHOPTS} == __karo_length)) && builtin [ "$HISTCONTROL:$HISTIGNORE" = "$__karo_known" ]; } ||
        __karo_mend
    __karo_is_altered=$__karo_keeps_repeats
    [[ ! $__karo_is_altered ]] || __karo_control=$HISTCONTROL HISTCONTROL=
    ((__karo_version >= 501)) || {
        # HISTCMD is of no use there.
        [[ ! ${__karo_number-} ]] || ((__karo_round[1] = __karo_number + 1, 1))
        return "$1"
    }
}

# A line that the history kept: the usual case.
__karo_kept() {
    __karo_capture
    if ((__karo_number != __karo_at[1] - 1)); then
        # The line changed the history itself, so that its text is not to be had.
        __karo_is_private || ((__karo_dropped += 1))
        return
    fi
    if [[ $__karo_text == ' '* || ${__karo_at[3]-} || ${KARO_PAUSE-} == 1 || ! ${HISTFILE-} || $HISTFILE == /dev/null ]]; then
        [[ $__karo_text != ' '* || :$HISTCONTROL: != *:ignore@(space|both):* ]] ||
            builtin history -d "$__karo_number"
        return
    fi
    __karo_started=${__karo_at[0]} __karo_cwd=${__karo_at[2]}
    ((__karo_duration = __karo_now > __karo_started ? __karo_now - __karo_started : 0, __karo_sequence += 1))
    ((${#__karo_text} <= 10000 && ${#__karo_cwd} <= 600)) || __karo_limit
    __karo_deliver end
    [[ ! $__karo_is_altered ]] || __karo_drop_repeat
}

# Every other case. No mark: nothing ran, or lines came from an editor (Ctrl-X Ctrl-E), which bash runs outside of its
# loop. A mark without a new line: the shell kept it out, or its text is that of the line before.
__karo_other() {
    local __karo_own=${__karo_at[1]:-0} __karo_started=${__karo_at[0]-}
    if [[ $__karo_umask_kept ]]; then
        # An interrupt came in the middle of a record.
        builtin umask "$__karo_umask_kept"
        __karo_umask_kept=
    fi
    if [[ ${__karo_pending-} ]]; then
        __karo_end_pending
    elif [[ ! $__karo_started ]]; then
        ((__karo_version < 501 || HISTCMD != __karo_round[1])) || return
        __karo_capture
        [[ ! ${__karo_round[1]-} ]] || ((__karo_number <= __karo_round[1])) ||
            __karo_edited "${__karo_round[1]}" "$__karo_number"
        __karo_round[1]=$((__karo_number + 1))
    elif ((__karo_own > __karo_round[1])); then
        __karo_capture
        [[ ! ${__karo_round[1]-} ]] || ((__karo_number != __karo_own - 1)) ||
            __karo_edited "${__karo_round[1]}" "$((__karo_own - 2))"
        __karo_kept
    elif [[ :$SHELLOPTS: == *:history:* && :${HISTCONTROL-}: == *:ignoredups:* && ! ${HISTIGNORE-} ]] &&
        [[ ! $__karo_is_altered && :$HISTCONTROL: != *:ignorespace:* ]]; then
        # Only a repeat is kept out here, so it is the newest line once more.
        __karo_capture
        __karo_at[1]=$((__karo_number + 1))
        __karo_kept
    fi
}

# A line whose start is on its way already (bash 5.3).
__karo_end_pending() {
    __karo_look
    __karo_text=$__karo_pending __karo_cwd=$__karo_pending_cwd
    builtin unset -v __karo_pending
    __karo_started=${__karo_at[0]}
    ((__karo_duration = __karo_now > __karo_started ? __karo_now - __karo_started : 0, 1))
    ((${#__karo_text} <= 10000 && ${#__karo_cwd} <= 600)) || __karo_limit
    __karo_deliver end
    [[ $__karo_is_altered ]] || return 0
    local __karo_own_text=$__karo_text
    __karo_capture
    builtin [ "$__karo_text" != "$__karo_own_text" ] || __karo_drop_repeat
}

# Does to the newest line of the history what HISTCONTROL would have done to it.
__karo_drop_repeat() {
    if [[ :$__karo_control: == *:erasedups:* ]]; then
        builtin history -d "$__karo_number"
        builtin history -s -- "$__karo_text"
    elif ((__karo_last_number == __karo_number - 1)) && builtin [ "$__karo_text" = "$__karo_last" ]; then
        builtin history -d "$__karo_number"
        ((__karo_number -= 1))
    fi
    __karo_last=$__karo_text __karo_last_number=$__karo_number
}

# What others did to the prompt is mended, and what depends on the user's settings is settled anew.
#
# With ignoredups a repeated line looks like one that was kept out on purpose. So no repeat is dropped while a line is
# read; PS0 gives HISTCONTROL back before the line runs, and the repeat is dropped afterwards. A leading space is
# meanwhile kept out by HISTIGNORE, which means the same.
__karo_mend() {
    local __karo_space='' __karo_ps0=${PS0-}
    __karo_ps0=${__karo_ps0/"$__karo_mark_control"/}
    __karo_ps0=${__karo_ps0/"$__karo_mark_start"/}
    __karo_keeps_repeats=
    if [[ :$BASHOPTS: != *:promptvars:* ]]; then
        __karo_ps0=${__karo_ps0/"$__karo_mark"/}
    else
        [[ $__karo_ps0 == *"$__karo_mark"* ]] || __karo_ps0+=$__karo_mark
        # A DEBUG trap, as bash-preexec has one, would take the start for the user's command.
        [[ $__karo_has_debug ]] || __karo_ps0+=$__karo_mark_start
        if ((__karo_version >= 501)) && [[ ${HISTCONTROL@a}${HISTIGNORE@a} != *r* ]]; then
            [[ :${HISTCONTROL-}: != *:ignore@(space|both):* ]] || __karo_space=1
            if [[ :${HISTIGNORE-}: != *':[ ]*:'* ]]; then
                [[ ! $__karo_space ]] || HISTIGNORE=${HISTIGNORE:+$HISTIGNORE:}'[ ]*'
            elif [[ ! $__karo_space ]]; then
                HISTIGNORE=:$HISTIGNORE:
                HISTIGNORE=${HISTIGNORE/':[ ]*:'/:}
                HISTIGNORE=${HISTIGNORE#:}
                HISTIGNORE=${HISTIGNORE%:}
            fi
            if [[ :${HISTCONTROL-}: == *:@(ignoredups|ignoreboth|erasedups):* ]]; then
                __karo_keeps_repeats=1
                __karo_ps0+=$__karo_mark_control
            fi
        fi
    fi
    [[ $__karo_ps0 == "${PS0-}" ]] || PS0=$__karo_ps0
    __karo_length=$((${#PS0} + ${#BASHOPTS})) __karo_known=$HISTCONTROL:$HISTIGNORE
}

# Last element of PROMPT_COMMAND, when the first has not been there: so it is at the first prompt, when the rc file with
# all its hooks has been read, and after somebody took the first element away.
__karo_join() {
    local -
    set +aefkuvxCET
    __karo_precmd "$@"
    ((__karo_version < 501)) || PROMPT_COMMAND=("$__karo_first" "${PROMPT_COMMAND[@]}")
    __karo_round[0]=0
    ((__karo_version < 501)) || __karo_round[1]=$HISTCMD
    ((__karo_version >= 501)) || return "$1"
}

# Lines $1 to $2 of the history came from an editor; the first is what had been typed before it was called.
__karo_edited() {
    (($2 > $1 && $2 - $1 < 64)) && ! __karo_is_private || return 0
    local __karo_raw='' __karo_entry __karo_line __karo_text='' __karo_exit='' __karo_pipes='' __karo_duration=''
    local __karo_started __karo_cwd=$PWD __karo_precision=1000000
    __karo_list "$((__karo_number - $1))" '%s '
    for ((__karo_entry = $1 + 1; __karo_entry <= $2; __karo_entry++)); do
        __karo_line=$'\n'$__karo_raw
        builtin printf -v __karo_text '\n%5d' "$__karo_entry"
        __karo_line=${__karo_line#*"$__karo_text"[ *] }
        builtin printf -v __karo_text '\n%5d' "$((__karo_entry + 1))"
        __karo_line=${__karo_line%%"$__karo_text"[ *] *}
        __karo_started=${__karo_line%% *}000000
        __karo_text=${__karo_line#* }
        __karo_text=${__karo_text%$'\n'}
        [[ $__karo_started == *[!0-9]* || ! $__karo_text || $__karo_text == [' #']* ]] || {
            ((__karo_sequence += 1))
            __karo_limit
            __karo_deliver end
        }
    done
}

# Lists the newest $1 lines of the history into __karo_raw, each with its time by the format $2.
__karo_list() {
    if [[ $__karo_scratch ]] && {
        HISTTIMEFORMAT=$2 builtin history "$1"
        builtin printf '\0'
    } 1<>"$__karo_scratch"; then
        IFS= builtin read -r -d '' __karo_raw <"$__karo_scratch"
        builtin printf '%*s' $((4 * ${#__karo_raw} + 64)) '' 1<>"$__karo_scratch"
    else
        __karo_raw=$(HISTTIMEFORMAT=$2 builtin history "$1")
    fi
}

# Reads the newest line of the history, its number, the umask and the EXIT trap. The scratch file is then overwritten with
# as many blanks as the text can have had bytes. It is never truncated: some file systems write a file to the disk when
# it is filled again after that, and the prompt would wait for it.
__karo_capture() {
    if [[ $__karo_scratch ]] && {
        builtin umask
        builtin trap -p EXIT
        builtin printf '\0'
        HISTTIMEFORMAT='' builtin history 1
        builtin printf '\0'
    } 1<>"$__karo_scratch"; then
        builtin mapfile -d '' -n 2 -t __karo_raw <"$__karo_scratch"
        builtin printf '%*s' $((4 * ${#__karo_raw[1]} + ${#__karo_raw[0]} + 16)) '' 1<>"$__karo_scratch"
        [[ ${__karo_raw[0]} == "$__karo_head_known" ]] || __karo_heed "${__karo_raw[0]}"
    else
        __karo_raw=('' "$(HISTTIMEFORMAT='' builtin history 1)"$'\n')
    fi
    __karo_text=${__karo_raw[1]}
    __karo_text=${__karo_text#*[0-9][ *] }
    # HISTCMD means something else in a trap, and with the history switched off.
    __karo_number=${__karo_raw[1]:0:16}
    __karo_number=${__karo_number#"${__karo_number%%[0-9]*}"}
    __karo_number=${__karo_number%%[^0-9]*}
    __karo_number=${__karo_number:-0}
    __karo_text=${__karo_text%$'\n'}
}

# Takes note of another umask, and puts the hook in front of the user's EXIT trap, as `trap -p` shows it.
__karo_heed() {
    __karo_head_known=$1
    __karo_umask=${1%%$'\n'*}
    [[ $1 != *__karo_exit* ]] || return 0
    local -a __karo_words=()
    builtin eval "__karo_words=(${1#*$'\n'})"
    # shellcheck disable=SC2016
    builtin trap -- '__karo_exit "$?"'"${__karo_words[2]:+$'\n'${__karo_words[2]}}" EXIT
}

__karo_exit() {
    local -
    set +aefkuvxCET
    [[ $BASHPID != "$$" ]] || { __karo_precmd "$1" "$1"; __karo_leave; } 2>/dev/null
    return "$1"
}

# The scratch file goes with the shell; one fork is no matter then.
__karo_leave() {
    [[ ! $__karo_scratch ]] || command rm -f -- "$__karo_scratch"
    __karo_scratch=
}

# Tells whether the user does not want to be recorded.
__karo_is_private() {
    [[ ${KARO_PAUSE-} == 1 || ! ${HISTFILE-} || $HISTFILE == /dev/null ]]
}

# Sends one side of a command on its way.
__karo_deliver() {
    if [[ $__karo_mode == client && -x $__karo_observe ]] && { [[ -S $__karo_socket ]] || __karo_is_reachable; }; then
        __karo_send "$1"
        __karo_dropped=0
    elif __karo_write "$1" || __karo_write_anew "$1"; then
        __karo_dropped=0
    elif [[ $1 == end ]]; then
        ((__karo_dropped += 1))
    fi
    __karo_cut=0 __karo_cwd_cut=0
}

# The place may be gone with the session that it was made for; it is sought again, ever more seldom. An end alone is a
# whole record, so it is sought for ends only.
__karo_write_anew() {
    [[ $1 == end ]] && ((((__karo_dropped + 1) & __karo_dropped) == 0)) || return 1
    __karo_place
    [[ $__karo_spool ]] && __karo_write "$1"
}

# Cuts text and directory to their limits, which are in bytes.
__karo_limit() {
    local LC_ALL=C
    ((${#__karo_text} <= 65536)) || __karo_text=${__karo_text:0:65536} __karo_cut=1
    ((${#__karo_cwd} <= 4096)) || __karo_cwd=${__karo_cwd:0:4096} __karo_cwd_cut=1
}

# Tells whether the client could put the record into a spool.
__karo_is_reachable() {
    local __karo_path=$__karo_client_spool
    while [[ ! -e $__karo_path && $__karo_path == */?* ]]; do
        __karo_path=${__karo_path%/*}
    done
    [[ -w ${__karo_path:-/} || $__karo_spool && -w $__karo_spool ]]
}

# One child in the background, of which the job table and the terminal see nothing. As long as the user has started no
# job, one fork is enough; then `$!` is theirs, and the child of a child keeps it so.
__karo_send() {
    # While PS0 is expanded a job cannot be disowned.
    if [[ $1 == end && ${!-} == "$__karo_child" ]]; then
        # In a group of its own it is out of reach of the keys at the next prompt.
        __karo_run "$1" </dev/null &>/dev/null &
        __karo_child=$!
        builtin disown "$__karo_child"
    else
        set +m
        (
            builtin trap '' HUP INT QUIT
            __karo_run "$1" &
        ) </dev/null &>/dev/null
    fi
}

# Becomes the client, or, should even that fail, spools.
__karo_run() {
    builtin trap '' HUP INT QUIT
    builtin shopt -s execfail
    KARO_COMMAND=$__karo_text KARO_CWD=$__karo_cwd builtin exec "$__karo_observe" "$1" "${__karo_options[@]}" \
        --seq "$__karo_sequence" --started-us "$__karo_started" --duration-us "$__karo_duration" \
        --exit "$__karo_exit" --pipestatus "$__karo_pipes" --precision-us "$__karo_precision" \
        --dropped "$__karo_dropped" --command-cut "$__karo_cut" --cwd-cut "$__karo_cwd_cut"
    __karo_write "$1"
}

# Writes one file with builtins alone; the umask makes it 0600 from its creation.
__karo_write() {
    [[ $__karo_spool ]] && { ((__karo_room > 0)) || __karo_count; } || return 1
    __karo_umask_kept=$__karo_umask __karo_is_whole=
    builtin umask 077
    set -C
    # shellcheck disable=SC2059
    builtin printf "$__karo_format" "$1" "$__karo_sequence" "$__karo_started" "$__karo_duration" "$__karo_exit" \
        "$__karo_pipes" "$__karo_precision" "$__karo_dropped" "$__karo_cut" "$__karo_cwd_cut" "$__karo_cwd" \
        "$__karo_text" >"$__karo_spool/$__karo_id.$__karo_sequence.${1:0:1}" && __karo_is_whole=1
    set +C
    builtin umask "$__karo_umask_kept"
    __karo_umask_kept=
    ((__karo_room -= 1, 1))
    [[ ! $__karo_is_whole ]] || return 0
    # An empty file says that its writer gave it up: builtins cannot unlink.
    __karo_is_whole=$__karo_spool/$__karo_id.$__karo_sequence.${1:0:1}
    [[ ! -f $__karo_is_whole ]] || : >|"$__karo_is_whole"
    return 1
}

# Holds the spool below 4,096 files. Counting is dear, so one count is good for an eighth of what is left; when the
# spool is full, a look at two files that were there tells whether anybody has taken one since.
__karo_count() {
    [[ ! $__karo_full || ! -e $__karo_full || ! -e $__karo_full_too ]] || return 1
    local __karo_failglob=
    [[ :$BASHOPTS: != *:failglob:* ]] || { __karo_failglob=1; builtin shopt -u failglob; }
    [[ ! ${GLOBIGNORE-} ]] || local GLOBIGNORE=
    local -a __karo_files=("$__karo_spool"/*)
    [[ ! $__karo_failglob ]] || builtin shopt -s failglob
    __karo_full=
    if ((${#__karo_files[@]} > 4032)); then
        __karo_full=${__karo_files[0]} __karo_full_too=${__karo_files[*]: -1}
        return 1
    fi
    ((__karo_room = (4096 - ${#__karo_files[@]}) / 8, 1))
}

# Finds the spool and makes the scratch file: forks, but once for each shell.
__karo_place() {
    local __karo_path __karo_seen_stat
    __karo_spool='' __karo_scratch='' __karo_room=0 __karo_full=''
    for __karo_path in "$__karo_hook_spool" "$__karo_client_spool"; do
        [[ $__karo_path == /* ]] || continue
        __karo_seen_stat=$(
            builtin umask 077
            [[ -d $__karo_path ]] || command mkdir -p -- "$__karo_path"
            [[ -d $__karo_path && ! -L $__karo_path && -O $__karo_path && -w $__karo_path ]] || builtin exit
            command stat -L -c '%a %i' -- "$__karo_path" "/proc/$$/ns/pid" || builtin echo 700
        ) </dev/null
        # Nobody else may write there.
        [[ $__karo_seen_stat =~ ^[0-7]*[0145][0145]( |$'\n'|$) ]] || continue
        builtin umask 077
        : >|"$__karo_path/.$__karo_id.text" && __karo_scratch=$__karo_path/.$__karo_id.text
        builtin umask "$__karo_umask"
        __karo_spool=$__karo_path
        __karo_seen_stat=${__karo_seen_stat#*$'\n'}
        __karo_pid_ns=${__karo_seen_stat#* }
        __karo_pid_ns=${__karo_pid_ns%%[!0-9]*}
        return
    done
}

# What is the same for every record of this shell.
__karo_describe() {
    local __karo_a='' __karo_b='' __karo_stat='' __karo_boot='' __karo_parent='' __karo_tty='\l' __karo_ssh=0
    local __karo_user='\u' __karo_field
    builtin read -r __karo_a </proc/sys/kernel/random/uuid
    builtin read -r __karo_b </proc/sys/kernel/random/uuid
    __karo_id=${__karo_a:0:8}${__karo_a:9:4}${__karo_b:0:8}${__karo_b:9:4}${__karo_a:28:8}
    [[ ${#__karo_id} == 32 ]] || __karo_id=$(command od -An -N16 -tx1 /dev/urandom | command tr -d ' \n')
    builtin read -r __karo_boot </proc/sys/kernel/random/boot_id
    builtin read -r __karo_parent <"/proc/$PPID/comm"
    builtin read -r __karo_stat <"/proc/$$/stat"
    __karo_stat=${__karo_stat##*) }
    set -f
    # shellcheck disable=SC2206
    local -a __karo_words=($__karo_stat)
    set +f
    __karo_tty=pts/${__karo_tty@P}
    [[ /dev/$__karo_tty -ef /dev/fd/0 ]] || __karo_tty=${__karo_tty#pts/}
    [[ /dev/$__karo_tty -ef /dev/fd/0 ]] || __karo_tty=
    [[ ! ${SSH_CONNECTION-}${SSH_CLIENT-}${SSH_TTY-} ]] || __karo_ssh=1
    __karo_place
    [[ $__karo_pid_ns ]] || __karo_pid_ns=$(command stat -L -c %i "/proc/$$/ns/pid")
    __karo_fields=(shell=bash "shell_id=$__karo_id" "user=${__karo_user@P}" "host=${HOSTNAME-}"
        "tty=$__karo_tty" "ssh=$__karo_ssh" "pid=$$" "pid_start=${__karo_words[19]-}" "boot_id=$__karo_boot"
        "pid_ns=$__karo_pid_ns" "parent=$__karo_parent")
    # The format of a record, with what never changes written into it.
    __karo_format='karo 1\0'
    for __karo_field in "${__karo_fields[@]}"; do
        # shellcheck disable=SC1003
        __karo_field=${__karo_field//'\'/'\\'}
        __karo_format+=${__karo_field//%/%%}'\0'
    done
    for __karo_field in phase seq started_us duration_us exit pipestatus precision_us dropped command_cut cwd_cut cwd; do
        __karo_format+=$__karo_field'=%s\0'
    done
    __karo_format+='command=%s\0end\n'
    __karo_options=(--socket "$__karo_socket" --spool "$__karo_client_spool" --spool "$__karo_hook_spool")
    for __karo_field in "${__karo_fields[@]}"; do
        __karo_a=${__karo_field%%=*}
        __karo_options+=("--${__karo_a//_/-}" "${__karo_field#*=}")
    done
}

__karo_load() {
    local -
    set +aefkuvxCET
    local IFS=$' \t\n'
    [[ $__karo_baked_uid == "$EUID" && ${PROMPT_COMMAND@a} != *r* && ${PS0@a} != *r* ]] || return 0
    __karo_pid=$$ __karo_uid=$EUID __karo_version=$((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1]))
    __karo_id='' __karo_sequence=0 __karo_dropped=0 __karo_cut=0 __karo_cwd_cut=0 __karo_precision=1
    __karo_void='' __karo_zero=0 __karo_mark_start='' __karo_has_debug='' __karo_child='' __karo_control='' __karo_is_altered='' __karo_keeps_repeats='' __karo_known='' __karo_length=-1
    __karo_last='' __karo_last_number=-1 __karo_umask_kept='' __karo_pid_ns='' __karo_head_known=''
    # Arrays are never exported, not even when `set -a` is in force where they are set: of the line, time, number and
    # directory; of the round of prompts, whether the first element was there, and the number of the line to come.
    __karo_at=() __karo_round=(0) __karo_raw=()
    __karo_umask=$(builtin umask)
    __karo_describe
    # Only so does the history keep a line as it was typed.
    builtin shopt -s cmdhist lithist
    # The mark expands to nothing; it sets what belongs to the line. A `!` would be a number in posix mode.
    # shellcheck disable=SC2016
    local __karo_clock='10#0${EPOCHREALTIME//[^0-9]/}'
    ((__karo_version >= 500)) || __karo_clock='\D{%s}000000' __karo_precision=1000000
    # shellcheck disable=SC2016
    __karo_mark='${__karo_void:$((__karo_at[0]='$__karo_clock',__karo_at[1]=HISTCMD,'
    # shellcheck disable=SC2016
    __karo_mark+='0${__karo_zero/${__karo_at[2]:=${PWD-}}/})):0}'
    # shellcheck disable=SC2016
    __karo_mark_control='${__karo_void:$((0${__karo_zero/${HISTCONTROL:=$__karo_control}/})):0}'
    # shellcheck disable=SC2016
    ((__karo_version < 503)) || __karo_mark_start='${ { __karo_preexec; } 2>/dev/null; }'
    PS0=${PS0-}
    [[ $PS0 == *"$__karo_mark"* ]] || PS0+=$__karo_mark
    # shellcheck disable=SC2016
    __karo_first='{ __karo_precmd "$?" "${PIPESTATUS[@]}"; } 2>/dev/null'
    # shellcheck disable=SC2016
    # shellcheck disable=SC2016
    local __karo_second='{ case ${__karo_round[0]} in 1) ((__karo_round[0]=0,__karo_round[1]=HISTCMD,1));; '
    # shellcheck disable=SC2016
    __karo_second+='*) __karo_join "$?" "${PIPESTATUS[@]}";; esac; } 2>/dev/null'
    # shellcheck disable=SC2016
    ((__karo_version < 503)) || __karo_second=${__karo_second/'esac;'/'esac; __karo_debugged "${ builtin trap -p DEBUG; }";'}
    # shellcheck disable=SC2016
    ((__karo_version >= 501)) || __karo_second='{ [[ ${__karo_round[0]} == 1 ]] || __karo_join "$?"; __karo_round[0]=0; } 2>/dev/null'
    if ((__karo_version < 501)); then
        # shellcheck disable=SC2178,SC2128
        # One line: of several these versions put the last into the history.
        PROMPT_COMMAND="$__karo_first; ${PROMPT_COMMAND:+${PROMPT_COMMAND%;}; }$__karo_second"
    elif [[ ${PROMPT_COMMAND[*]+x} && ${PROMPT_COMMAND[*]: -1} == __bp_interactive_mode ]]; then
        # bash-preexec takes whatever follows its last element for the user's command.
        PROMPT_COMMAND=("${PROMPT_COMMAND[@]::${#PROMPT_COMMAND[@]}-1}" "$__karo_second" __bp_interactive_mode)
    elif [[ ${PROMPT_COMMAND[*]+x} ]]; then
        PROMPT_COMMAND+=("$__karo_second")
    else
        # The first element stays free for whoever sets PROMPT_COMMAND as if it were no array.
        PROMPT_COMMAND[1]=$__karo_second
    fi
    __karo_heed "$__karo_umask"$'\n'"$(builtin trap -p EXIT)"
}

# bash 5.3 can act at the start without a fork; older ones could not even read this syntax.
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 503)); then
    # shellcheck disable=SC2016
    builtin eval '
    __karo_preexec() {
        local -
        set +aefkuvxCET
        { __karo_begin; } 2>/dev/null
    }
    __karo_look() {
        __karo_raw=("${ builtin umask; builtin trap -p EXIT; }")
        [[ ${__karo_raw[0]} == "$__karo_head_known" ]] || __karo_heed "${__karo_raw[0]}"
    }
    __karo_capture() {
        __karo_look
        __karo_raw[1]=${ HISTTIMEFORMAT="" builtin history 1; }
        __karo_text=${__karo_raw[1]#*[0-9][ *] }
        __karo_number=${__karo_raw[1]:0:16}
        __karo_number=${__karo_number#"${__karo_number%%[0-9]*}"}
        __karo_number=${__karo_number%%[^0-9]*}
        __karo_number=${__karo_number:-0}
    }'
fi

# Called by the last element of PROMPT_COMMAND with the DEBUG trap, which a function cannot see, in bash 5.3.
__karo_debugged() {
    [[ ${1:0:1} != "$__karo_has_debug" ]] || return 0
    local -
    set +aefkuvxCET
    __karo_has_debug=${1:0:1}
    [[ ! $__karo_is_altered ]] || HISTCONTROL=$__karo_control
    __karo_mend
    [[ ! $__karo_is_altered ]] || HISTCONTROL=
}

# The start of a line, called by PS0 in bash 5.3.
__karo_begin() {
    ((EUID == __karo_uid && __karo_at[1] == __karo_round[1] + 1)) && [[ ! $__karo_umask_kept ]] || return 0
    __karo_capture
    ((__karo_number == __karo_at[1] - 1)) || return 0
    if [[ ! $__karo_text || $__karo_text == ' '* ]] || __karo_is_private; then
        # What was private at its start stays so.
        __karo_at[3]=1
        return
    fi
    __karo_started=${__karo_at[0]} __karo_cwd=${__karo_at[2]} __karo_pending=$__karo_text __karo_pending_cwd=$__karo_cwd
    __karo_exit='' __karo_pipes='' __karo_duration=''
    ((__karo_sequence += 1, ${#__karo_text} <= 10000 && ${#__karo_cwd} <= 600)) || __karo_limit
    __karo_deliver start
}

__karo_load
[[ ! ${__karo_all-} ]] || { unset -v __karo_all; set -a; }

fi 2>/dev/null
