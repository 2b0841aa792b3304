#!/usr/bin/env bash
# Prepares a machine: uv and the locked Python environment, a Docker daemon, the base image.
#
# Usage: ops/setup.sh [--stack NAME]     a stack that is placed elsewhere needs no daemon here
#
# Uses what is there. As root on Debian or Ubuntu it installs what is missing; elsewhere it says
# what to install. Running it again changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly UV_VERSION=0.13.9
readonly CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/ollamamax"
readonly DAEMON_WAIT_S=60

say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
install_packages() {
  can_install || fail "$1 is missing and cannot be installed from here: install it ($2), then run the same command again"
  say "installing $2 (Debian packages)"
  apt-get update -qq
  # shellcheck disable=SC2086 # a list of packages
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $2 >/dev/null
}

prepare_python() {
  command -v python3 >/dev/null || install_packages "Python 3.11 or newer" "python3"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$(python3 --version) is too old: install Python 3.11 or newer"
  if ! PATH="$PATH:$CACHE/uv/bin" command -v uv >/dev/null; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages "Python's venv module" "python3-venv"
    say "installing uv $UV_VERSION"
    python3 -m venv "$CACHE/uv"
    "$CACHE/uv/bin/pip" install --quiet "uv==$UV_VERSION"
  fi
  # Compiling takes half a minute, once for each lock file; without it every import of the cloud's SDKs,
  # where Python may not write what it compiles, takes seconds.
  local compile=()
  if ! cmp --silent uv.lock .venv/compiled; then
    say "installing the locked Python packages"
    compile=(--compile-bytecode)
  fi
  PATH="$PATH:$CACHE/uv/bin" uv sync --frozen --quiet "${compile[@]}"
  cp uv.lock .venv/compiled
  .venv/bin/python -m compileall -q engine components stacks ops policies
}

daemon_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

prepare_docker() {
  if ! daemon_answers; then
    if [ -n "${DOCKER_HOST:-}" ]; then
      fail "the Docker daemon at DOCKER_HOST=$DOCKER_HOST does not answer: start it, or unset DOCKER_HOST"
    fi
    command -v dockerd >/dev/null || install_packages "a Docker daemon" "docker.io iptables"
    [ "$(id -u)" = 0 ] ||
      fail "no Docker daemon answers: start it (for example: sudo systemctl start docker), and let this user reach it (group docker)"
    say "starting the Docker daemon"
    if [ -d /run/systemd/system ]; then
      systemctl start docker
    else
      setsid nohup dockerd >/var/log/dockerd.log 2>&1 </dev/null &
    fi
    for ((waited = 0; waited < DAEMON_WAIT_S; waited++)); do
      daemon_answers && break
      sleep 1
    done
    daemon_answers || fail "the Docker daemon did not come up within ${DAEMON_WAIT_S} s: see /var/log/dockerd.log"
  fi
  docker/base/build.sh
}

stack=local
if [ "${1:-}" = --stack ]; then
  stack=${2:?--stack needs a name}
fi
prepare_python
# A simulated cloud builds no images; one that the Pulumi CLI deploys to gets them from here.
if command -v pulumi >/dev/null || ! grep -qsE '^ *ollamamax:target: *aws *$' "stacks/Pulumi.$stack.yaml"; then
  prepare_docker
fi
say "machine ready"
