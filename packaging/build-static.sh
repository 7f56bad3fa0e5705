#!/bin/sh
# Builds a release of qpq that needs no library of the machine that it runs on.
#
#   packaging/build-static.sh [DIR]     the program goes to DIR (dist)
#
# It is linked with the static C library of the machine that it is built on (Debian: libc6-dev).
set -eu
cd "$(dirname "$0")/.."
out=${1:-dist}
target=$(rustc -vV | sed -n 's/^host: //p')
# With an explicit target the flags do not reach build scripts and procedural macros.
RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
    cargo build --release --locked --target "$target" --package quicproquo-cli
mkdir -p "$out"
install -m 0755 "target/$target/release/qpq" "$out/qpq"
if ldd "$out/qpq" 2>/dev/null | grep -q '=>'; then
    echo "build-static: $out/qpq is linked with libraries of this machine" >&2
    exit 1
fi
"$out/qpq" --version
