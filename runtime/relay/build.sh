#!/bin/sh
# Builds the relay for x64 and arm64 into bin/. The same sources give the same bytes: nothing of the
# machine, the time or the path goes in. Usage: build.sh [x64|arm64] [output directory]
#
# Needs the same packages as runtime/guest/build.sh: musl-tools for x64; for arm64
# gcc-aarch64-linux-gnu, and musl's arm64 files in the directory that MUSL_ARM64 names.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
which=${1:-all}
out=$(mkdir -p "${2:-$here/bin}" && cd "${2:-$here/bin}" && pwd)

# -ffile-prefix-map and --build-id=none keep the place of the build out of the result.
flags="-std=c11 -O2 -Wall -Wextra -Werror -Wshadow -fstack-protector-strong -fno-asynchronous-unwind-tables
  -ffunction-sections -fdata-sections -ffile-prefix-map=$here=."
link="-static -no-pie -s -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,norelro"

cd "$here/program"
sources="agent.c bytes.c control.c forward.c link.c loop.c main.c socket-check.c"

if [ "$which" != arm64 ]; then
  # shellcheck disable=SC2086 # the lists are meant to be split
  musl-gcc $flags $link -o "$out/relay-linux-x64" $sources
fi

if [ "$which" != x64 ]; then
  musl="${MUSL_ARM64:?the directory into which musl-dev:arm64 was unpacked}/usr"
  lib="$musl/lib/aarch64-linux-musl"
  gcc="aarch64-linux-gnu-gcc"
  # The cross compiler knows only glibc: headers, start files and libraries are named one by one.
  # shellcheck disable=SC2086
  $gcc $flags $link -mno-outline-atomics -nostdinc -isystem "$musl/include/aarch64-linux-musl" \
    -isystem "$($gcc -print-file-name=include)" -nostdlib -o "$out/relay-linux-arm64" \
    "$lib/crt1.o" "$lib/crti.o" $sources "$lib/libc.a" "$($gcc -print-libgcc-file-name)" \
    "$lib/libc.a" "$lib/crtn.o"
fi
