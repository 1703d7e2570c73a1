#!/bin/sh
# Builds the guest agent for x64 and arm64 into bin/. The same sources give the same bytes: nothing
# of the machine, the time or the path goes in. Usage: build.sh [x64|arm64] [output directory]
#
# Needs Debian's musl-tools for x64; for arm64 gcc-aarch64-linux-gnu, and musl's arm64 files:
#   dpkg --add-architecture arm64 && apt-get update
#   apt-get download musl-dev:arm64 && dpkg -x musl-dev_*_arm64.deb <directory>
#   MUSL_ARM64=<directory> ./build.sh arm64
set -eu
here=$(cd "$(dirname "$0")" && pwd)
which=${1:-all}
out=$(mkdir -p "${2:-$here/bin}" && cd "${2:-$here/bin}" && pwd)

# -ffile-prefix-map and --build-id=none keep the place of the build out of the result.
flags="-std=c11 -Os -Wall -Wextra -Werror -Wshadow -fstack-protector-strong -fno-asynchronous-unwind-tables
  -ffunction-sections -fdata-sections -ffile-prefix-map=$here=."
link="-static -no-pie -s -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,norelro"

cd "$here/agent"
sources="buffer.c connection.c empty.c exec.c loop.c main.c network.c process.c spawn.c stream.c supervisor.c tree.c"

if [ "$which" != arm64 ]; then
  # shellcheck disable=SC2086 # the lists are meant to be split
  musl-gcc $flags $link -o "$out/guest-linux-x64" $sources
fi

if [ "$which" != x64 ]; then
  musl="${MUSL_ARM64:?the directory into which musl-dev:arm64 was unpacked}/usr"
  lib="$musl/lib/aarch64-linux-musl"
  gcc="aarch64-linux-gnu-gcc"
  # The cross compiler knows only glibc: headers, start files and libraries are named one by one.
  # shellcheck disable=SC2086
  $gcc $flags $link -mno-outline-atomics -nostdinc -isystem "$musl/include/aarch64-linux-musl" \
    -isystem "$($gcc -print-file-name=include)" -nostdlib -o "$out/guest-linux-arm64" \
    "$lib/crt1.o" "$lib/crti.o" $sources "$lib/libc.a" "$($gcc -print-libgcc-file-name)" \
    "$lib/libc.a" "$lib/crtn.o"
fi
