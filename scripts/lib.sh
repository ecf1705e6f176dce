# Shared by the scripts beside it; to be sourced, in bash, with `set -euo pipefail`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
log_dir=$root/build/log
cd "$root"
mkdir -p "$log_dir"

# What each part needs, as Debian 12 names it.
library_packages=(g++ cmake ninja-build libboost1.81-dev)
test_packages=(valgrind python3) # they count instructions
test_packages+=(libgtest-dev clang-19 libclang-rt-19-dev clang-format-19)
test_packages+=(llvm-19) # its symbolizer: without it reports are unreadable, and suppressions find nothing
example_packages=(libboost-url1.81-dev libboost-json1.81-dev libgumbo-dev libcli11-dev libssl-dev
    libsqlite3-dev)

say() {
    printf '== %s\n' "$*"
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# run_quietly <log> <command…>: the command's output goes to a file, and its end is shown on failure.
run_quietly() {
    local log=$log_dir/$1
    shift
    "$@" >"$log" 2>&1 && return
    local status=$?
    {
        echo "-- failed: $*"
        tail -n 120 "$log"
        echo "-- the whole output is in ${log#"$root"/}"
    } >&2
    return "$status"
}

# The command that makes the next one run as root, if one is needed.
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

update_package_lists() {
    [ ${#as_root[@]} -eq 0 ] || command -v sudo >/dev/null ||
        die "something must be installed, and this is neither root nor is there sudo"
    run_quietly apt-update.log "${as_root[@]}" apt-get update ||
        die "cannot fetch the package lists"
}

# install_packages <package…>: what is there already needs no network.
install_packages() {
    local missing=() package
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return
    fi

    say "Installing ${missing[*]}"
    update_package_lists
    run_quietly apt-install.log "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "${missing[@]}" ||
        die "cannot install ${missing[*]}"
}

# build <preset> [argument of cmake --build…]
build() {
    local preset=$1
    shift
    run_quietly "$preset-configure.log" cmake --preset "$preset" &&
        run_quietly "$preset-build.log" cmake --build --preset "$preset" --parallel "$(nproc)" "$@"
}
