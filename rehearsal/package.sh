#!/usr/bin/env bash
# Puts a program of a Debian package into a folder: a link to the machine's own, or what the package holds,
# which is not installed: it would start a daemon.
#
# Usage: rehearsal/package.sh PACKAGE PROGRAM FOLDER
set -euo pipefail
readonly package=$1 program=$2 folder=$3

fail() {
  printf 'error: %s: install %s, then run the same command again\n' "$1" "$program" >&2
  exit 1
}

if command -v "$program" >/dev/null; then
  ln -s "$(command -v "$program")" "$folder/$program"
  exit
fi
command -v apt-get >/dev/null || fail "$program is missing"
if [ "$(id -u)" = 0 ]; then apt-get update -qq; fi
mkdir "$folder/package"
(cd "$folder/package" && apt-get -o APT::Sandbox::User=root download -qq "$package" && dpkg -x ./*.deb .) ||
  fail "Debian's package $package could not be downloaded"
mv "$folder/package/usr/bin/$program" "$folder/$program"
rm -r "$folder/package"
