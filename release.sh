#!/usr/bin/env bash
# Makes a release: ./release.sh --help tells how.
#
# Two runs on one commit make the same bytes, wherever the checkout lies, with the same toolchain: every path is taken
# out of the programs, every time is the commit's, and every archive is sorted and owned by nobody.
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
cd "$checkout"
umask 022
export LC_ALL=C TZ=UTC

usage() {
    cat <<'USAGE'
usage: ./release.sh [--out DIRECTORY] [--dry-run] [--dirty] [--no-deb] [--help]

Makes of the commit that is checked out, in DIRECTORY (target/dist):

  karo-VERSION.tar.gz           the source
  karo-VERSION-TARGET.tar.gz    the programs, manual pages, completions, units
  karo-VERSION-TARGET.cdx.json  what the programs are made of (CycloneDX)
  karo_VERSION-1_ARCH.deb       the Debian package; needs cargo-deb
  PKGBUILD, karo.rb             for Arch and Homebrew, to lie beside the source
  SHA256SUMS                    of all of these

  --dry-run   say what would be done, and do nothing
  --dirty     take the files as they are, committed or not
  --no-deb    leave the Debian package out
USAGE
}

out=$checkout/target/dist
is_dry=
is_dirty=
has_deb=1
while (($#)); do
    case $1 in
        --out)
            out=$(realpath -m -- "${2:?--out needs a directory}")
            shift
            ;;
        --dry-run) is_dry=1 ;;
        --dirty) is_dirty=1 ;;
        --no-deb) has_deb= ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
    shift
done

refuse() {
    printf 'release.sh: %s\n' "$*" >&2
    exit 1
}

# Says what is done, and does it unless only that was asked for.
run() {
    printf '+ %s\n' "$*"
    [[ -n $is_dry ]] || "$@"
}

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
target=$(rustc -vV | sed -n 's/^host: //p')
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
readonly version target name=karo-$version
readonly place=${CARGO_TARGET_DIR:-$checkout/target}/release.sh

if [[ -z $is_dirty && -n $(git status --porcelain) ]]; then
    refuse "there are changes that are not committed; commit them, or say --dirty"
fi
if [[ -n $has_deb ]] && ! cargo deb --version >/dev/null 2>&1; then
    refuse "cargo-deb is not installed (cargo install cargo-deb --locked); or say --no-deb"
fi

# What is there is taken away first, so all of it has to be an earlier release.
if [[ -d $out && -n $(ls -A "$out") ]]; then
    known=$(sed -n 's/^[0-9a-f]\{64\}  //p' "$out/SHA256SUMS" 2>/dev/null || true)
    strange=$(find "$out" -mindepth 1 -printf '%P\n' | grep -vxF -e SHA256SUMS -e "$known" || true)
    if [[ -n $strange || $known != *"karo-"* ]]; then
        refuse "$out holds something else than a release (${strange%%$'\n'*}): name another directory"
    fi
fi

# An archive of names that are read from standard input: the same bytes for the same files.
pack() {
    tar --create --null --no-recursion --files-from=- --format=gnu --mtime="@$SOURCE_DATE_EPOCH" \
        --owner=0 --group=0 --numeric-owner --mode=u+rw,go+r-w --transform="$1" | gzip -9n
}

write_source() {
    git ls-files -z | sort -z | pack "s,^,$name/,S" >"$out/$name.tar.gz"
}

build() {
    local sysroot
    sysroot=$(rustc --print sysroot)
    local home=${CARGO_HOME:-$HOME/.cargo}
    export CARGO_TARGET_DIR=$place CARGO_INCREMENTAL=0
    export CARGO_ENCODED_RUSTFLAGS
    printf -v CARGO_ENCODED_RUSTFLAGS '%s\x1f' "--remap-path-prefix=$checkout=/karo" \
        "--remap-path-prefix=$place=/karo/target" "--remap-path-prefix=$home=/cargo" \
        "--remap-path-prefix=$sysroot=/rust"
    CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}
    export CFLAGS="-ffile-prefix-map=$place=/karo/target -ffile-prefix-map=$home=/cargo"
    # The clients alone and with a profile of their own: with the daemon they would have its features.
    cargo build --locked --release --package karo-daemon --bin karod
    cargo build --locked --profile client --package karo-client --bins
}

readonly programs=("$place/release/karod" "$place/client/karoctl" "$place/client/karo-observe")

write_programs() {
    local root=$place/root sbom=$1
    rm -rf "$root"
    client/packaging/lay-out "$root" "${programs[@]}"
    install -m 644 README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE "$sbom" "$root/usr"
    (cd "$root/usr" && find . -type f -printf '%P\0' | sort -z | pack "s,^,$name-$target/,S") \
        >"$out/$name-$target.tar.gz"
}

write_sbom() { cargo run --quiet --locked --package karo-tests --bin sbom -- "$target" >"$1"; }

# The texts in the tree name no checksum: they would have to hold that of an archive that they are in.
write_recipes() {
    local sum
    sum=$(sha256sum "$out/$name.tar.gz" | cut -d' ' -f1)
    sed "s/^sha256sums=.*/sha256sums=('$sum')/" client/packaging/arch/PKGBUILD >"$out/PKGBUILD"
    sed "s/^  sha256 .*/  sha256 \"$sum\"/" client/packaging/homebrew/karo.rb >"$out/karo.rb"
}

write_sums() {
    local sums
    sums=$(cd "$out" && find . -maxdepth 1 -type f -printf '%P\0' | sort -z | xargs -0 sha256sum)
    printf '%s\n' "$sums" >"$out/SHA256SUMS"
}

run rm -rf "$out"
run mkdir -p "$out"
run write_source
run write_sbom "$out/$name-$target.cdx.json"
run build
run write_programs "$out/$name-$target.cdx.json"
if [[ -n $has_deb ]]; then
    arch=$(dpkg --print-architecture)
    run client/packaging/debian/build "$out/karo_${version}-1_$arch.deb" "${programs[@]}" "$version" \
        "$out/$name-$target.cdx.json"
fi
run write_recipes
run write_sums
[[ -n $is_dry ]] || (cd "$out" && ls -l)
