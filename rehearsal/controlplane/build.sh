#!/usr/bin/env bash
# Builds a Kubernetes control plane, kubectl and KWOK from the Go module proxy, once, and prints their folder.
#
# Usage: rehearsal/controlplane/build.sh
#
# The folder is outside the checkout and named after all that it is made of, so another version builds anew:
# 8 minutes on two cores. etcd is the machine's, or comes out of Debian's package. Needs Go 1.24 or
# newer.
set -euo pipefail
cd "$(dirname "$0")"

readonly KWOK_VERSION=v0.7.0
readonly CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/ollamamax"

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

build() {
  local about=k8s.io/component-base/version minor=${version#v*.}
  echo "building Kubernetes $version and KWOK $KWOK_VERSION (once; some minutes)" >&2
  local stamp="-X $about.gitVersion=$version -X $about.gitMajor=1 -X $about.gitMinor=${minor%.*}"
  # Without the debugger's data, which -w would only drop at the end, the compiler takes an eighth less.
  local words=(-trimpath "-gcflags=all=-dwarf=false")
  go build "${words[@]}" -ldflags "-s -w $stamp" -o "$1/" tool
  GOBIN=$1 go install "${words[@]}" -ldflags "-s -w" "sigs.k8s.io/kwok/cmd/kwok@$KWOK_VERSION"
}

export CGO_ENABLED=0 # no C compiler is needed
command -v go >/dev/null || fail "Go is missing: install Go 1.24 or newer, then run the same command again"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
made_of=$(cat build.sh go.mod | sha256sum)
folder=$CACHE/controlplane-$version-$(go env GOVERSION)-${made_of:0:12}
if [ ! -d "$folder" ]; then
  making=$folder.$$
  trap 'rm -rf "$making"' EXIT
  mkdir -p "$making"
  ../package.sh etcd-server etcd "$making"
  build "$making"
  mv -T "$making" "$folder" 2>/dev/null || [ -d "$folder" ] # another run was faster
fi
echo "$folder"
