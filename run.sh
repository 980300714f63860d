#!/usr/bin/env bash
# Runs Karo from this checkout: ./run.sh --help tells how. Everything it leaves lies in .karo/ here.
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
cd "$checkout"
umask 077

# Commands that the demo replays, at least; whole sessions are taken.
readonly demo_commands=400
readonly demo_data=$checkout/tests/data/history/kypo-part.jsonl

daemon=
other_daemon=
short=
place=
other=
other_places=()
members=()
member_places=()

usage() {
    cat <<'USAGE'
usage: ./run.sh [--demo | --help]

  (nothing)   builds, starts karod on a store in .karo/ and opens your shell with recording on;
              karod stops when the shell ends, and what was recorded is there the next time
  --demo      replays real sessions through the real client and socket into a store of its own,
              asks questions about them, kills karod with -9 and asks again; then starts a second
              karod, pairs the two, cuts their link, heals it and shows the audit of it

Your own configuration, rc files and history stay as they are. To install Karo for good, see README.md.
USAGE
}

if [[ -t 1 && -z ${NO_COLOR-} ]]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
else
    bold='' dim='' plain=''
fi

say() { printf '%s%s%s\n' "$bold" "$*" "$plain"; }

# Shows a command of karoctl, here or at the other machine.
show_at() {
    printf '\n%s%s karoctl' "$dim" "$1"
    shift
    printf ' %q' "$@"
    printf '%s\n' "$plain"
}
show_line() { show_at '$' "$@"; }
show_line_there() { show_at 'there$' "$@"; }

# Shows a command of karoctl and runs it.
show() {
    show_line "$@"
    karoctl "$@"
}

build() {
    say "building (the first time takes some minutes)"
    (
        umask 022
        # The clients alone, with a profile of their own: a build of everything gives them a runtime.
        cargo build --quiet --locked --release -p karo-daemon
        cargo build --quiet --locked --profile client -p karo-client
        [[ ${1-} != demo ]] || cargo build --quiet --locked --release -p karo-tests --bin replay
    )
    local target=${CARGO_TARGET_DIR:-$checkout/target}
    export PATH="$target/client:$target/release:$PATH"
}

# Names the places of this run, for daemon, clients and hooks alike.
settle_in() {
    export KARO_DATA_DIR=$1/data KARO_SPOOL_DIR=$1/spool KARO_CONFIG=$1/config.toml
    export KARO_SOCKET=$1/run/karod.sock
    mkdir -p "$1"
    if ((${#KARO_SOCKET} > 107)); then
        # A socket's path has room for 107 bytes, and this checkout lies too deep.
        short=$(mktemp -d "${TMPDIR:-/tmp}/karo.XXXXXX")
        KARO_SOCKET=$short/karod.sock
    fi
}

start_daemon() {
    karod 2>>"$1/karod.log" &
    daemon=$!
    local tries
    for ((tries = 0; tries < 1000; tries++)); do
        if karoctl status >/dev/null 2>&1; then return 0; fi
        if ! kill -0 "$daemon" 2>/dev/null; then break; fi
        sleep 0.02
    done
    echo "run.sh: karod does not answer; it said:" >&2
    tail -n 20 "$1/karod.log" >&2
    exit 1
}

stop_daemon() {
    stop_other
    stop_team
    if [[ -n $daemon ]]; then
        kill "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
        daemon=
    fi
    [[ -z $short ]] || rm -rf "$short"
}

# Runs a program at the other machine of the demo: the same programs, in places of their own.
there() { env "${other_places[@]}" "$@"; }

# Waits until a command succeeds, ten seconds at most.
wait_until() {
    local what=$1 tries
    shift
    for ((tries = 0; tries < 500; tries++)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.02
    done
    echo "run.sh: waited in vain: $what" >&2
    tail -n 20 "$place"/karod.log "$place"/*/karod.log "$place"/team/*/karod.log >&2 2>/dev/null || true
    exit 1
}

start_other() {
    # Not through the function: the process that is stopped later must be karod itself.
    env "${other_places[@]}" karod 2>>"$other/karod.log" &
    other_daemon=$!
    wait_until "the other karod answers" there karoctl status
}

stop_other() {
    if [[ -n $other_daemon ]]; then
        kill "$other_daemon" 2>/dev/null || true
        wait "$other_daemon" 2>/dev/null || true
        other_daemon=
    fi
}

# Prints a port of loopback on which nothing listens, at or behind that one.
free_port() {
    local port=$1
    while (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    echo "$port"
}

# Prints the words that a side shows in its frame, once it does.
words_of() { sed -n -E 's/^ *│ +([a-z].*[a-z]) +│$/\1/p' "$1" | tr -s ' ' | grep .; }

# Pairs the two machines, as two people would: each reads the words of the other side and says yes if they are its own.
pair() {
    local at=127.0.0.1:$1 here=$place/here.said there=$place/there.said code first second
    mkfifo "$place/here.words" "$place/there.words"
    # Open both ways, so that nobody waits for a reader who has left.
    exec 3<>"$place/here.words" 4<>"$place/there.words"
    show_line peers pair --listen "$at" --name laptop
    karoctl peers pair --listen "$at" --name laptop --words-from "$place/there.words" >"$here" 2>&1 &
    first=$!
    wait_until "the pairing waits" grep -q @ "$here"
    code=$(sed -n -E 's/.*peers pair ([^ ]+)$/\1/p' "$here" | head -n 1)
    there karoctl peers pair "$code" --name desk --words-from "$place/here.words" >"$there" 2>&1 &
    second=$!
    wait_until "this side shows words" words_of "$here"
    wait_until "the other side shows words" words_of "$there"
    words_of "$here" >&3
    words_of "$there" >&4
    wait "$first" "$second"
    exec 3>&- 4>&-
    cat "$here"
    show_line_there peers pair "$code" --name desk
    cat "$there"
}

is_connected() { karoctl peers --json | grep -q '"state":"connected"'; }

is_cut() { ! is_connected; }

# Two machines on this one: paired, cut, healed, and what the audit says of it.
mesh() {
    other=$place/other
    mkdir -p "$other"
    other_places=("KARO_DATA_DIR=$other/data" "KARO_SPOOL_DIR=$other/spool" "KARO_CONFIG=$other/config.toml"
        "KARO_SOCKET=${short:-$other}/other.sock")
    local port
    port=$(free_port 19338)
    printf '[mesh]\nlisten = "127.0.0.1:%s"\n' "$port" >"$KARO_CONFIG"
    port=$(free_port $((port + 1)))
    printf '[mesh]\nlisten = "127.0.0.1:%s"\n' "$port" >"$other/config.toml"
    port=$(free_port $((port + 1)))
    kill -HUP "$daemon"
    start_other
    show identity show
    pair "$port"
    wait_until "the two are linked" is_connected
    show peers
    show peers ping laptop
    say $'\n'"the other karod stops, and starts again"
    stop_other
    wait_until "the cut is seen" is_cut
    show peers
    start_other
    wait_until "the two are linked again" is_connected
    show peers show laptop
    show audit
    show audit verify
    stop_other
}

# Names the places of one machine of the team.
settle_member() {
    local dir=$place/team/$1
    member_places=("KARO_DATA_DIR=$dir/data" "KARO_SPOOL_DIR=$dir/spool" "KARO_CONFIG=$dir/config.toml"
        "KARO_SOCKET=${short:-$dir}/$1.sock")
}

# Runs a program at one machine of the team.
at() {
    settle_member "$1"
    shift
    env "${member_places[@]}" "$@"
}

start_member() {
    settle_member "$1"
    # Not through the function: the process that is stopped later must be karod itself.
    env "${member_places[@]}" karod 2>>"$place/team/$1/karod.log" &
    members+=($!)
}

stop_team() {
    local member
    for member in "${members[@]}"; do
        kill "$member" 2>/dev/null || true
        wait "$member" 2>/dev/null || true
    done
    members=()
}

show_member() {
    local who=$1
    shift
    show_at "$who\$" "$@"
    at "$who" karoctl "$@"
}

is_linked_to_all() { (($(at "$1" karoctl peers --json | grep -c '"state":"connected"') == $2)); }

id_of() { at "$1" karoctl group diff "$2" --json | sed -n -E 's/.*"id":"([0-9a-f]{64})".*/\1/p' | head -n 1; }

# Makes a group of the machines named, in that file; the first of them makes it.
make_group() {
    local file=$1 name=$2 who
    shift 2
    at "$1" karoctl group create "$file" --name "$name" --zone UTC --smallest 5 >/dev/null
    for who in "$@"; do
        at "$1" karoctl group add "$file" "$(at "$who" karoctl group card)" --owner "$who" --name "$who" \
            --address "127.0.0.1:${ports[$who]}" >/dev/null
    done
}

# Six people in one group: yesterday is closed, and asked for.
team() {
    local file=$place/team.group few=$place/few.group who share=0 id
    local -a people=(ada ben cem dee eli fay)
    local -A ports=()
    local port=19438
    say $'\n'"six people, each with a machine and real sessions of their own, as if they had been yesterday's"
    for who in "${people[@]}"; do
        mkdir -p "$place/team/$who"
        port=$(free_port $((port + 1)))
        ports[$who]=$port
        printf '[mesh]\nlisten = "127.0.0.1:%s"\n' "$port" >"$place/team/$who/config.toml"
        start_member "$who"
    done
    for who in "${people[@]}"; do
        wait_until "the karod of $who answers" at "$who" karoctl status
        at "$who" replay "$(command -v karo-observe)" "$demo_data" 100000 "$share" "${#people[@]}"
        share=$((share + 1))
    done
    make_group "$file" team "${people[@]}"
    id=$(id_of ada "$file")
    show_member ada group accept "$file" --yes-if-id "$id"
    for who in "${people[@]:1}"; do at "$who" karoctl group accept "$file" --yes-if-id "$id" >/dev/null; done
    show_member ben policy set groups on --yes
    for who in ada "${people[@]:2}"; do at "$who" karoctl policy set groups on --yes >/dev/null; done
    for who in "${people[@]}"; do wait_until "$who is linked to all" is_linked_to_all "$who" 5; done
    show_member ada group
    say $'\n'"a day is closed at six in the morning by itself; here it is wanted now"
    show_member dee group close --day yesterday
    local question
    for question in tool-usage safety-posture activity anomalies; do
        show_member fay query --mesh "$question" --since yesterday
    done
    say $'\n'"four of them make a group of their own: there is no number of four"
    make_group "$few" few ada ben cem dee
    id=$(id_of ada "$few")
    show_member ada group accept "$few" --yes-if-id "$id" 2>&1 || true
    say $'\n'"what cem gave, and to whom, is in his audit"
    show_member cem audit --kind group-accepted --kind day-given --kind policy-changed
    show_member cem group atoms
    stop_team
}

# Opens the user's shell with its own rc first and the hook behind it, as an installed hook would be.
open_shell() {
    local place=$1 shell=${SHELL:-/bin/bash} own_zdotdir=${ZDOTDIR-}
    case ${shell##*/} in
        zsh)
            mkdir -p "$place/zsh"
            cat >"$place/zsh/.zshrc" <<'RC'
ZDOTDIR=${KARO_RUN_ZDOTDIR:-$HOME}
[[ -r $ZDOTDIR/.zshrc ]] && source "$ZDOTDIR/.zshrc"
eval "$(karoctl shell init zsh)"
RC
            KARO_RUN_ZDOTDIR=$own_zdotdir ZDOTDIR=$place/zsh "$shell" -i
            ;;
        fish)
            "$shell" -i -C 'karoctl shell init fish | source'
            ;;
        *)
            cat >"$place/bashrc" <<'RC'
[ -r ~/.bashrc ] && . ~/.bashrc
eval "$(karoctl shell init bash)"
RC
            [[ ${shell##*/} == bash ]] || echo "there is no hook for $shell: opening bash"
            bash --rcfile "$place/bashrc" -i
            ;;
    esac
}

record() {
    place=$checkout/.karo
    build
    settle_in "$place"
    trap stop_daemon EXIT
    start_daemon "$place"
    say "recording into .karo/ (try: karoctl query, karoctl status; exit ends it)"
    # Ctrl-C in the shell is the shell's own.
    trap : INT
    open_shell "$place" || true
    trap - INT
    say "stopped; what was recorded stays in .karo/"
}

# Delivers one command of our own, as a hook does: text and directory in the environment of that one process.
deliver() {
    KARO_COMMAND=$1 KARO_CWD=$HOME karo-observe end --shell bash --shell-id 6b61726f000000000000000000000000 \
        --seq 1 --started-us "$(($(date +%s) * 1000000))" --duration-us 41000 --exit 22
}

demo() {
    place=$checkout/.karo/demo
    build demo
    rm -rf "$place"
    settle_in "$place"
    trap 'stop_daemon; rm -rf "$place"' EXIT
    start_daemon "$place"

    say "replaying real sessions (KYPO, Masaryk University, CC BY 4.0) through karo-observe"
    replay "$(command -v karo-observe)" "$demo_data" "$demo_commands"

    show status
    show query nmap --limit 6
    show query --unique ssh --limit 6
    say $'\n'"and one command of our own, with a password in it: curl -u admin:correct-horse https://localhost/"
    deliver 'curl -u admin:correct-horse https://localhost/'
    show query curl --failed
    show query --count-by category
    show query --count-by hour
    show query sudo --oldest-first --limit 1 --format json
    local before after
    before=$(karoctl export | wc -l)

    say $'\n'"kill -9 of karod, and a new one on the same store"
    kill -9 "$daemon"
    wait "$daemon" 2>/dev/null || true
    start_daemon "$place"
    after=$(karoctl export | wc -l)
    say "$before commands before, $after after"
    show store verify
    say $'\n'"two machines that trust each other: a second karod in a second directory"
    mesh
    stop_daemon
    team
    if ((before < demo_commands || before != after)); then
        echo "run.sh: the demo lost something" >&2
        exit 1
    fi
    say $'\n'"done; nothing stays behind"
}

case ${1-} in
    '') record ;;
    --demo) demo ;;
    -h | --help) usage ;;
    *)
        usage >&2
        exit 2
        ;;
esac
