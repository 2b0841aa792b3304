#!/usr/bin/env bash
# Makes sure there are a Chromium, which the tests of the console drive, and certutil, by which browsers come to trust
# a stack's authority. As root on Debian or Ubuntu they are installed.
set -euo pipefail

missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
  missing+=(chromium fonts-dejavu-core)
command -v certutil >/dev/null || missing+=(libnss3-tools)
if [ ${#missing[@]} = 0 ]; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "error: ${missing[*]} (Debian's names) are missing and cannot be installed from here: install them, then run the same command again" >&2
  exit 1
fi
echo "installing ${missing[*]} (Debian packages)"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
