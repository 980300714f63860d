#!/usr/bin/env bash
# Checks the whole house: ./test.sh --help tells how.
#
# As root it builds as root and runs the tests as an ordinary user, because root ignores the modes
# that many of them are about; tests whose name begins with `root_` stay root. Without root it runs
# everything as it is, and tests that need root say so and skip themselves.
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
cd "$checkout"
umask 022

# CI judges the change, so its properties are tried with the same draws each time; a developer's are new ones.
[[ -z ${CI-} ]] || export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-20261120}

# Tools a person or a distribution provides, and the Debian packages that hold them.
readonly packages=(zsh fish mksh ksh93u+m tmux shellcheck git procps util-linux patch gcc iproute2 nftables
    systemd dbus dbus-user-session libpam-systemd ruby makepkg)
# What is no program stands with a path, in which stars may be.
readonly programs=(zsh fish mksh ksh tmux shellcheck git ps setpriv patch cc ip nft
    systemd-analyze dbus-daemon '/usr/lib/systemd/user/dbus.socket' '/usr/lib/*/security/pam_systemd.so'
    ruby makepkg)
readonly scripts=(test.sh run.sh release.sh .ci/run tests/runner tests/protections/run tests/harness/machine.sh
    tests/stories/packages/fresh-root client/packaging/lay-out client/packaging/debian/build
    client/packaging/debian/scripts/{postinst,prerm,postrm})

skipped=()
failed=()

usage() {
    cat <<'USAGE'
usage: ./test.sh [quick | gates | tests [FILTER]... | protections [NAME]... | --help]

  (nothing)     every gate, then every test
  quick         formatting, the floors, then unit tests and short stories; under two minutes when warm
  gates         formatting, lints, docs, scripts, licences, floors
  tests         every test, or those whose name holds a FILTER
  protections   takes each protection out of a copy and demands that its test turns red (by hand, not in CI)

Environment: KARO_ROUNDS        rounds of the kill -9 and power-cut stories (20)
             KARO_MESH_SECONDS  seconds of mixed faults in a mesh of five machines (60)
             KARO_TEST_BASH     another bash to run the shell cases in
             KARO_TEST_USER     the ordinary user that tests run as (karo-test)
USAGE
}

step() { printf '\n-- %s\n' "$*"; }
has() {
    case $1 in
        /*) compgen -G "$1" >/dev/null ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# Runs a gate; a red one does not keep the others from being looked at.
gate() {
    local name=$1
    shift
    step "$name"
    if ! "$@"; then
        failed+=("$name")
        printf 'FAILED: %s\n' "$name"
    fi
}

# Installs what the tests run, where that is ours to do; names what is missing otherwise.
provide_tools() {
    local missing=() i
    for i in "${!programs[@]}"; do
        has "${programs[i]}" || missing+=("${packages[i]}")
    done
    ((${#missing[@]})) || return 0
    if ((EUID == 0)) && has apt-get; then
        step "installing ${missing[*]}"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq || true
        local package
        # One by one: a package that this release names otherwise must not keep the rest away.
        for package in "${missing[@]}"; do
            apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 ||
                { [[ $package == ksh93u+m ]] && apt-get install -y -qq --no-install-recommends ksh >/dev/null 2>&1; } ||
                true
        done
        missing=()
        for i in "${!programs[@]}"; do
            has "${programs[i]}" || missing+=("${packages[i]}")
        done
    fi
    ((${#missing[@]})) || return 0
    skipped+=("what needs these packages: ${missing[*]}")
}

# Builds what makes the Debian package, once: 92 seconds of one core. Only root can install the package in a test.
provide_cargo_deb() {
    ((EUID == 0)) || return 0
    local place=${CARGO_TARGET_DIR:-$checkout/target}/tools
    export PATH=$place/bin:$PATH
    ! has cargo-deb || return 0
    step "installing cargo-deb"
    timeout 900 cargo install --quiet --locked --version 3.8.0 --root "$place" --target-dir "$place/build" cargo-deb ||
        skipped+=("the Debian package: cargo-deb cannot be installed")
}

# Copies what belongs to the checkout, and nothing that git ignores, with its times.
copy_tree() {
    local to=$1
    mkdir -p "$to"
    find "$to" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
    git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do [[ -e $file || -L $file ]] && printf '%s\0' "$file"; done |
        tar --create --null --no-recursion --files-from=- | tar --extract --no-same-owner -C "$to"
}

# Makes the ordinary user, and sees to it that this user can read the checkout: a clone below a
# directory of mode 0700 is copied to a place where it can, and the rest happens there.
prepare_user() {
    if ((EUID != 0)); then
        skipped+=("tests that need root (mounts, foreign users, networks)")
        return 0
    fi
    export KARO_TEST_USER=${KARO_TEST_USER:-karo-test}
    id -u "$KARO_TEST_USER" >/dev/null 2>&1 ||
        useradd --system --user-group --create-home --home-dir "/var/lib/$KARO_TEST_USER" \
            --shell /bin/bash "$KARO_TEST_USER"
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=$checkout/tests/runner
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=$checkout/tests/runner
    if "$checkout/tests/runner" test -x "$checkout/tests/runner" -a -r "$checkout/Cargo.toml"; then
        return 0
    fi
    if [[ -n ${KARO_TEST_COPY-} ]]; then
        echo "test.sh: user $KARO_TEST_USER cannot read $checkout" >&2
        exit 1
    fi
    local copy
    copy=/var/tmp/karo-test.$(printf %s "$checkout" | sha256sum | cut -c1-12)
    step "$checkout cannot be read by $KARO_TEST_USER: testing a copy in $copy"
    copy_tree "$copy"
    chmod -R u+rwX,go+rX "$copy" 2>/dev/null || true
    unset CARGO_TARGET_DIR
    KARO_TEST_COPY=1 exec "$copy/test.sh" "${arguments[@]}"
}

shell_scripts() {
    local present=() script
    for script in "${scripts[@]}"; do [[ -f $script ]] && present+=("$script"); done
    if has shellcheck; then
        shellcheck --severity=style "${present[@]}" || return 1
        [[ ! -f shell/karo.bash ]] || shellcheck --severity=warning --shell=bash shell/karo.bash || return 1
    fi
    if [[ -f shell/karo.bash ]]; then bash -n shell/karo.bash || return 1; fi
    if [[ -f shell/karo.zsh ]] && has zsh; then zsh -n shell/karo.zsh || return 1; fi
    if [[ -f shell/karo.fish ]] && has fish; then fish --no-execute shell/karo.fish || return 1; fi
}

# What packagers of other systems build from: nothing here can run it, but its language can be read.
recipes() {
    local recipe=client/packaging/arch/PKGBUILD
    bash -n "$recipe" || return 1
    # Names that the packager's own program sets, or reads; it ends at the first failure by itself.
    ! has shellcheck || shellcheck --shell=bash --exclude=SC2034,SC2154,SC2164 "$recipe" || return 1
    ! has ruby || ruby -c client/packaging/homebrew/karo.rb >/dev/null || return 1
    has makepkg || return 0
    local place
    place=$(mktemp -d)
    install -m 644 "$recipe" "$place"
    local as=()
    # It refuses to be root, and looks for a package manager that it does not need for this.
    ((EUID != 0)) || { as=(setpriv --reuid nobody --clear-groups); chown nobody "$place"; }
    local told=0
    (cd "$place" && "${as[@]}" env HOME="$place" PACMAN=true makepkg --printsrcinfo >/dev/null) || told=1
    rm -rf "$place"
    return "$told"
}

# With what is private too: it is read by those who work here, and nobody else reads it.
docs() {
    RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" \
        cargo doc --quiet --workspace --no-deps --document-private-items --locked
}
floors() { cargo test --quiet --locked -p karo-tests --test floors; }
lints() { cargo clippy --quiet --workspace --all-targets --locked -- -D warnings; }

# The gates that cargo has no part in are tools of their own: used where they are, named where not.
optional_gate() {
    local name=$1 program=$2
    shift 2
    if has "$program"; then gate "$name" "$@"; else skipped+=("$name: $program is not installed"); fi
}

gates() {
    gate "formatting" cargo fmt --all --check
    gate "scripts and hooks" shell_scripts
    has shellcheck || skipped+=("shellcheck: not installed")
    gate "recipes" recipes
    has ruby || skipped+=("the formula: ruby is not installed")
    has makepkg || skipped+=("the PKGBUILD beyond its syntax: makepkg is not installed")
    gate "floors" floors
    gate "lints" lints
    gate "docs" docs
    optional_gate "licences, bans, sources" cargo-deny cargo deny --all-features check bans licenses sources
    if ! has cargo-deny || cargo deny fetch db >/dev/null 2>&1; then
        optional_gate "advisories" cargo-deny cargo deny --all-features check advisories
    else
        skipped+=("advisories: their database cannot be reached")
    fi
    optional_gate "unused dependencies" cargo-machete cargo machete
    optional_gate "spelling" typos typos
}

# Names what is red and what was not looked at, before the tests have the last word.
judge_gates() {
    local reason
    for reason in "${skipped[@]}"; do printf 'skipped: %s\n' "$reason"; done
    if ((${#failed[@]})); then
        printf 'red: %s\n' "${failed[@]}"
        exit 1
    fi
}

# Builds the programs that stories run: the clients alone and with their own profile, as they are
# shipped, because a build of the whole workspace would give them the daemon's features.
build() {
    step "building"
    cargo build --quiet --locked --workspace --bin karod
    cargo build --quiet --locked -p karo-client --profile client --bins
    local target=${CARGO_TARGET_DIR:-$checkout/target}
    export KARO_TEST_DAEMON_DIR=$target/debug KARO_TEST_CLIENT_DIR=$target/client
}

# Runs the tests; its last line is the count of nextest or cargo.
tests() {
    local profile=$1
    shift
    build
    step "tests"
    # Examples in docs are compiled into a directory that only the builder may enter.
    KARO_TEST_AS_ROOT=1 cargo test --quiet --locked --workspace --doc >/dev/null
    if has cargo-nextest; then
        cargo nextest run --locked --workspace --profile "$profile" "$@"
        return
    fi
    local flags=(--tests)
    [[ $profile == quick ]] && flags=(--lib --bins)
    if ((EUID == 0)) && [[ $profile != quick ]]; then
        KARO_TEST_AS_ROOT=1 cargo test --locked --workspace --tests -- "$@" root_
    fi
    cargo test --locked --workspace "${flags[@]}" -- --skip root_ "$@"
}

arguments=("$@")
deed=${1-all}
(($# == 0)) || shift
case $deed in
    -h | --help | help)
        usage
        ;;
    all)
        provide_tools
        prepare_user
        provide_cargo_deb
        gates
        judge_gates
        tests default
        ;;
    quick)
        prepare_user
        gate "formatting" cargo fmt --all --check
        gate "floors" floors
        judge_gates
        tests quick
        ;;
    gates)
        provide_tools
        gates
        judge_gates
        ;;
    tests)
        provide_tools
        prepare_user
        provide_cargo_deb
        judge_gates
        tests default "$@"
        ;;
    protections)
        prepare_user
        judge_gates
        place=${CARGO_TARGET_DIR:-$checkout/target}/protections
        copy_tree "$place/tree"
        tests/protections/run "$place" "$@"
        ;;
    *)
        usage >&2
        exit 2
        ;;
esac
