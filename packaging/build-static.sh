#!/bin/sh
# Builds a release of qpq that needs no library of the machine that it runs on.
#
#   packaging/build-static.sh [DIR]     the program goes to DIR (dist)
#
# It is linked with the static C library of the machine that it is built on (Debian: libc6-dev), and with
# static-names.c, without which it would crash where that library is of another version. CARGO names the
# cargo to use, CC the C compiler.
set -eu
cd "$(dirname "$0")/.."
out=${1:-dist}
target=$(rustc -vV | sed -n 's/^host: //p')
names=$PWD/target/static-names.o
mkdir -p "$out" target
"${CC:-cc}" -O2 -Wall -Werror -c packaging/static-names.c -o "$names"
# What runs for years is worth a longer build (docs/decisions/0092-allocator.md).
export CARGO_PROFILE_RELEASE_LTO="${CARGO_PROFILE_RELEASE_LTO:-fat}"
export CARGO_PROFILE_RELEASE_CODEGEN_UNITS="${CARGO_PROFILE_RELEASE_CODEGEN_UNITS:-1}"
# With an explicit target the flags do not reach build scripts and procedural macros.
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
    "${CARGO:-cargo}" rustc --release --locked --target "$target" --package quicproquo-cli --bin qpq -- \
    -C link-arg="$names"
install -m 0755 "target/$target/release/qpq" "$out/qpq"
if ldd "$out/qpq" 2>/dev/null | grep -q '=>'; then
    echo "build-static: $out/qpq is linked with libraries of this machine" >&2
    exit 1
fi
"$out/qpq" --version
