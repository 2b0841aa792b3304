#!/usr/bin/env bash
# Makes sure the one base image, debian:trixie-slim, is in the local Docker daemon.
#
# It is pulled where a container registry answers. Where none does, the same minimal system is made
# from Debian's own packages with mmdebstrap, which needs root or a user namespace.
# The machine's CA bundle goes into a made image, so that builds behind a TLS-inspecting proxy can
# reach the package registries.
set -euo pipefail

readonly IMAGE=debian:trixie-slim
readonly PULL_TIMEOUT_S=120

if docker image inspect "$IMAGE" >/dev/null 2>&1; then
  exit 0
fi
if timeout "$PULL_TIMEOUT_S" docker pull --quiet "$IMAGE" 2>/dev/null; then
  exit 0
fi

echo "no container registry answers: making $IMAGE from Debian's packages (about a minute)"
if ! command -v mmdebstrap >/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "error: $IMAGE can be neither pulled nor made here: install mmdebstrap, or allow pulls from a container registry" >&2
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
hooks=()
if [ -s /etc/ssl/certs/ca-certificates.crt ]; then
  # A hook runs with the new root as $1: the bundle becomes one more local authority there.
  hooks+=(--customize-hook="cp /etc/ssl/certs/ca-certificates.crt \"\$1/usr/local/share/ca-certificates/host-bundle.crt\""
          --customize-hook="chroot \"\$1\" update-ca-certificates --fresh >/dev/null 2>&1")
fi
mmdebstrap --quiet --variant=minbase --include=ca-certificates "${hooks[@]}" trixie "$work/root.tar"
docker import "$work/root.tar" "$IMAGE" >/dev/null
