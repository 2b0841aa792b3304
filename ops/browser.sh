#!/usr/bin/env bash
# Makes sure there is a Chromium, which the tests of the console drive. As root on Debian or Ubuntu it is installed.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "error: Chromium is missing and cannot be installed from here: install it (Debian's package chromium), then run the same command again" >&2
  exit 1
fi
echo "installing chromium (Debian package)"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
