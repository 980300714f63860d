# Karo's hook for zsh 5.3 and newer: a record at the start and at the end of each line that was typed and run.
#
# zsh hands the typed text to preexec, and its modules write files with a mode from creation, so nothing is forked in
# spool mode; in client mode one background child takes each record.
#
# The lines with an @ are filled in by the client that prints this script; shell/README.md says with what.

if [[ -o interactive && ${__karo_pid-} != $$ ]] && builtin autoload -Uz add-zsh-hook is-at-least && is-at-least 5.3; then

# With all_export in force all this would reach every child.
[[ ! -o all_export ]] || { __karo_all=1; builtin unsetopt all_export }
typeset -g __karo_baked_uid=@KARO_UID@
typeset -g __karo_mode=@KARO_MODE@
typeset -g __karo_observe=@KARO_OBSERVE@
typeset -g __karo_socket=@KARO_SOCKET@
typeset -g __karo_hook_spool=@KARO_HOOK_SPOOL@
typeset -g __karo_client_spool=@KARO_CLIENT_SPOOL@

__karo_preexec() {
  {
    builtin emulate -L zsh
    builtin unsetopt err_exit err_return xtrace
    __karo_begin "$1" "$3"
    return 0
  } 2>/dev/null
}

__karo_precmd() {
  {
    local __karo_status=( "$?" "${pipestatus[@]}" )
    builtin emulate -L zsh
    builtin unsetopt err_exit err_return xtrace
    __karo_end "${(@)__karo_status}"
    return 0
  } 2>/dev/null
}

__karo_zshexit() {
  {
    local __karo_status=( "$?" )
    # An exit in a subshell comes here too, and the line that it is part of has not ended.
    (( ZSH_SUBSHELL == 0 )) || return 0
    builtin emulate -L zsh
    builtin unsetopt err_exit err_return xtrace
    __karo_end "${__karo_status[1]}"
    return 0
  } 2>/dev/null
}

# The typed text comes as $1; where zsh keeps no history at all it is empty, and $2 is what runs.
__karo_begin() {
  (( EUID == __karo_uid )) || return 0
  __karo_text=
  # Having had a history file and having none any more is a way to say "not this".
  [[ -z ${HISTFILE-} ]] || __karo_has_file=1
  [[ ${KARO_PAUSE-} != 1 && ${HISTFILE-} != /dev/null ]] || return 0
  [[ -z $__karo_has_file || -n ${HISTFILE-} ]] || return 0
  local text=${1:-$2}
  [[ -n ${text//[[:space:]]/} && $text != ' '* ]] || return 0
  if [[ -n ${HISTORY_IGNORE-} ]]; then
    builtin setopt local_options extended_glob
    [[ $text != ${~HISTORY_IGNORE} ]] || return 0
  fi
  __karo_cut=0 __karo_cwd_cut=0 __karo_cwd=${PWD-}
  if (( $#text > 10000 || $#__karo_cwd > 600 )); then
    builtin setopt local_options no_multibyte
    (( $#text <= 65536 )) || { text=${text[1,65536]}; __karo_cut=1 }
    (( $#__karo_cwd <= 4096 )) || { __karo_cwd=${__karo_cwd[1,4096]}; __karo_cwd_cut=1 }
  fi
  __karo_text=$text
  (( ++__karo_sequence ))
  __karo_now
  __karo_started=$__karo_time
  __karo_deliver start
}

# The arguments are the exit status of the line and those of its pipeline.
__karo_end() {
  (( EUID == __karo_uid )) || return 0
  [[ -n $__karo_text ]] || return 0
  __karo_now
  local -i duration=$(( __karo_time > __karo_started ? __karo_time - __karo_started : 0 ))
  __karo_deliver end "$1" "$duration" "${(j: :)@[2,-1]}"
  __karo_text=
}

# Sets __karo_time, in microseconds since the epoch.
__karo_now() {
  (( __karo_time = epochtime[1] * 1000000 + epochtime[2] / 1000 ))
}

# Sends one side of a command on its way: start, or end with exit status, duration and pipeline.
__karo_deliver() {
  if [[ $__karo_mode == client && -x $__karo_observe ]] && __karo_reachable; then
    __karo_send "$@"
    __karo_dropped=0
  elif __karo_write "$@" || __karo_write_anew "$@"; then
    __karo_dropped=0
  elif [[ $1 == end ]]; then
    (( ++__karo_dropped ))
  fi
}

# The place may be gone with the session that it was made for; it is sought again, ever more seldom. An end alone is a
# whole record, so it is sought for ends only.
__karo_write_anew() {
  [[ $1 == end ]] && (( ((__karo_dropped + 1) & __karo_dropped) == 0 )) || return 1
  __karo_place
  [[ -n $__karo_spool ]] && __karo_write "$@"
}

# Tells whether the client could put the record anywhere: to a socket, or into a spool.
__karo_reachable() {
  [[ ! -S $__karo_socket ]] || return 0
  local at=$__karo_client_spool
  while [[ ! -e $at && $at == */?* ]]; do
    at=${at%/*}
  done
  [[ -w ${at:-/} || ( -n $__karo_spool && -w $__karo_spool ) ]]
}

# The child of a child in the background: `$!`, the job table and the terminal see nothing of it. A child of its own that
# ends while the prompt is drawn makes zsh 5.9 forget the prompt, once in a thousand times or so.
__karo_send() {
  builtin unsetopt monitor bg_nice notify
  local -a given=( "$1" "${(@)__karo_options}" --seq $__karo_sequence --started-us $__karo_started
    --dropped $__karo_dropped --command-cut $__karo_cut --cwd-cut $__karo_cwd_cut )
  [[ $1 == start ]] || given+=( --exit "$2" --duration-us "$3" --pipestatus "$4" )
  (
    # Only so does the child of this child ignore them too.
    builtin setopt posix_traps
    builtin trap '' HUP INT QUIT
    KARO_COMMAND=$__karo_text KARO_CWD=$__karo_cwd "$__karo_observe" "${(@)given}" &
  ) </dev/null >/dev/null 2>&1
}

# Writes one file, 0600 from its creation, that nobody has written before.
__karo_write() {
  [[ -n $__karo_spool ]] || return 1
  (( __karo_room-- > 0 )) || __karo_count || return 1
  local file=$__karo_spool/$__karo_id.$__karo_sequence.${1[1]}
  local record="${__karo_head}phase=$1"$'\0'"seq=$__karo_sequence"$'\0'"started_us=$__karo_started"$'\0'
  record+="dropped=$__karo_dropped"$'\0'"command_cut=$__karo_cut"$'\0'"cwd_cut=$__karo_cwd_cut"$'\0'"exit=$2"$'\0'
  record+="duration_us=$3"$'\0'"pipestatus=$4"$'\0'"cwd=$__karo_cwd"$'\0'"command=$__karo_text"$'\0end\n'
  local -i fd=-1
  sysopen -w -o create,excl,cloexec -m 600 -u fd -- "$file" || return 1
  # Lengths are in bytes from here on.
  builtin unsetopt multibyte
  local -i is_whole=0
  syswrite -o $fd -c is_whole -- "$record"
  builtin exec {fd}>&-
  (( is_whole < $#record )) || return 0
  zf_rm -f -- "$file"
  return 1
}

# Holds the spool below 4,096 files. Counting is dear, so one count is good for an eighth of what is left; when the
# spool is full, a look at two files that were there tells whether anybody has taken one since.
__karo_count() {
  [[ -z $__karo_full || ! -e $__karo_full || ! -e $__karo_full_too ]] || return 1
  local -a files=( $__karo_spool/*(NoN) )
  __karo_full=
  if (( $#files > 4032 )); then
    __karo_full=$files[1] __karo_full_too=$files[-1]
    return 1
  fi
  (( __karo_room = (4096 - $#files) / 8 - 1, 1 ))
}

# Finds the spool: an own directory in which nobody else may write.
__karo_place() {
  local at
  local -a found
  __karo_spool= __karo_room=0 __karo_full=
  for at in "$__karo_hook_spool" "$__karo_client_spool"; do
    [[ $at == /* ]] || continue
    # With the user's umask the directories above it might be open to others.
    [[ -d $at ]] || ( builtin umask 077; zf_mkdir -p -- "$at" )
    found=( $at(N/Uf:go-w:) )
    if (( $#found )) && [[ ! -L $at && -w $at ]]; then
      __karo_spool=$at
      return 0
    fi
  done
}

# What is the same for every record of this shell.
__karo_describe() {
  local a b stat_line boot parent field ssh=0
  local -A inode
  IFS= builtin read -r a </proc/sys/kernel/random/uuid
  IFS= builtin read -r b </proc/sys/kernel/random/uuid
  __karo_id=${a[1,8]}${a[10,13]}${b[1,8]}${b[10,13]}${a[29,36]}
  (( $#__karo_id == 32 )) || __karo_id=$(command od -An -N16 -tx1 /dev/urandom | command tr -d ' \n')
  IFS= builtin read -r boot </proc/sys/kernel/random/boot_id
  IFS= builtin read -r parent <"/proc/$PPID/comm"
  IFS= builtin read -r stat_line <"/proc/$$/stat"
  local -a words=( ${(s: :)stat_line##*\) } )
  zstat -H inode "/proc/$$/ns/pid"
  [[ -z ${SSH_CONNECTION-}${SSH_CLIENT-}${SSH_TTY-} ]] || ssh=1
  __karo_fields=( shell=zsh "shell_id=$__karo_id" "user=${(%):-%n}" "host=${HOST-}" "tty=${${TTY-}#/dev/}" "ssh=$ssh"
    precision_us=1 "pid=$$" "pid_start=${words[20]-}" "boot_id=$boot" "pid_ns=${inode[inode]-}" "parent=$parent" )
  __karo_head="karo 1"$'\0'"${(pj:\0:)__karo_fields}"$'\0'
  __karo_options=( --socket "$__karo_socket" --spool "$__karo_client_spool" --spool "$__karo_hook_spool" )
  for field in "${(@)__karo_fields}"; do
    __karo_options+=( "--${${field%%=*}//_/-}" "${field#*=}" )
  done
}

__karo_load() {
  builtin emulate -L zsh
  builtin unsetopt err_exit err_return xtrace all_export
  [[ $__karo_baked_uid == $EUID ]] || return 0
  builtin zmodload zsh/datetime zsh/system && builtin zmodload -F zsh/files b:zf_mkdir b:zf_rm &&
    builtin zmodload -F zsh/stat b:zstat || return 0
  typeset -g __karo_pid=$$ __karo_uid=$EUID __karo_id= __karo_text= __karo_cwd= __karo_has_file=
  typeset -g __karo_spool= __karo_head= __karo_full= __karo_full_too= __karo_cut=0 __karo_cwd_cut=0
  typeset -gi __karo_sequence=0 __karo_dropped=0 __karo_started=0 __karo_time=0 __karo_room=0
  typeset -ga __karo_fields __karo_options
  __karo_describe
  __karo_place
  add-zsh-hook preexec __karo_preexec
  add-zsh-hook precmd __karo_precmd
  add-zsh-hook zshexit __karo_zshexit
}

__karo_load
[[ -z ${__karo_all-} ]] || { unset __karo_all; builtin setopt all_export }

fi 2>/dev/null
