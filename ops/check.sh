#!/usr/bin/env bash
# Formatters, linters, types and layers over the whole tree: all run, even after one has failed.
#
# Usage: ops/check.sh [NAME…]     only the checks of these names (ops/check.sh --list prints them)
#
# Python's tools, shellcheck and hadolint come with the locked environment; golangci-lint and actionlint
# are built once from their modules into the user's cache. Needs Go (1.24 or newer) and npm.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly ACTIONLINT_VERSION=v1.7.12
readonly GOLANGCI_VERSION=v2.15.0
readonly CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/ollamamax"
readonly BIN="$PWD/.venv/bin"

if [ -t 1 ]; then
  readonly RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
  readonly RED='' GREEN='' PLAIN=''
fi

# Files of this kind that git tracks or would track.
files() {
  git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
    if [ -f "$file" ]; then echo "$file"; fi
  done
}
shell_scripts() {
  files | while read -r file; do
    if head -c 64 "$file" | grep -qaE '^#!.*[/ ](ba|da)?sh( |$)'; then echo "$file"; fi
  done
}
go_modules() { files 'docker/*/go.mod' 'bench/*/go.mod' | xargs -r -n1 dirname; }

need_go() {
  if ! command -v go >/dev/null; then
    echo "Go is missing: install Go 1.24 or newer (https://go.dev/dl, or Debian's package golang-go), then run the same command again"
    return 1
  fi
}

# Runs a command in the folder of every Go module.
in_go_modules() {
  need_go
  local module status=0
  for module in $(go_modules); do
    (cd "$module" && "$@") || status=1
  done
  return $status
}

# Prints where the program of a Go module is, which is built where it is not there yet.
built() {
  # Built with the Go at hand: golangci-lint cannot read code of a newer Go than its own.
  local package=$1 version=$2 name=${1##*/} folder
  folder="$CACHE/$name-$version-$(go env GOVERSION)"
  if [ ! -x "$folder/$name" ]; then
    echo "building $name $version (once; a few minutes)" >&3
    GOBIN="$folder" GOFLAGS='' go install "$package@$version" >&3
  fi
  echo "$folder/$name"
}

golangci_lint() {
  "$(built github.com/golangci/golangci-lint/v2/cmd/golangci-lint "$GOLANGCI_VERSION")" run ./...
}

unformatted_go() {
  local found
  found=$(gofmt -l .)
  [ -z "$found" ] || {
    printf 'not formatted: %s\n' "$found"
    return 1
  }
}

check_ruff_format() { "$BIN/ruff" format --check --quiet --diff .; }
check_ruff() { "$BIN/ruff" check --quiet .; }
check_mypy() { "$BIN/mypy" --no-error-summary stacks components engine ops policies rehearsal bench tests docker/autoscaler/ollamamax_autoscaler __main__.py bootstrap/__main__.py; }
check_layers() { "$BIN/lint-imports" --no-cache; }
check_settings_page() { "$BIN/python" -m ops.settings_page --check docs/settings.md; }
check_policies_page() { "$BIN/python" -m ops.policies_page --check docs/policies.md; }
check_shellcheck() { shell_scripts | xargs -r -d "\n" "$BIN/shellcheck"; }
check_hadolint() { files 'docker/*Dockerfile' | xargs -r -d "\n" "$BIN/hadolint" --no-color; }
check_console() { (cd docker/console && npm ci --silent --no-audit --no-fund && npm run --silent lint); }
check_actionlint() {
  need_go
  "$(built github.com/rhysd/actionlint/cmd/actionlint "$ACTIONLINT_VERSION")" -shellcheck "$BIN/shellcheck" -pyflakes ''
}
check_gofmt() { in_go_modules unformatted_go; }
check_go_vet() { in_go_modules go vet ./...; }
check_golangci_lint() { in_go_modules golangci_lint; }

readonly CHECKS=(ruff_format ruff mypy layers settings_page policies_page shellcheck hadolint actionlint console gofmt go_vet golangci_lint)

if [ "${1:-}" = --list ]; then
  printf '%s\n' "${CHECKS[@]}"
  exit
fi
[ $# -gt 0 ] || set -- "${CHECKS[@]}"
for name; do
  if [[ " ${CHECKS[*]} " != *" $name "* ]]; then
    echo "error: no check is named $name; there are: ${CHECKS[*]}" >&2
    exit 2
  fi
done

failed=()
exec 3>&2 # for progress: what a check prints is kept until it is known to have failed
for name; do
  started=$SECONDS
  # In a subshell with its own -e, which an `if` around it would turn off.
  set +e
  output=$(set -e; "check_$name" 2>&1)
  status=$?
  set -e
  took=$((SECONDS - started))
  if [ $status = 0 ]; then
    printf '%sok%s      %s (%s s)\n' "$GREEN" "$PLAIN" "$name" "$took"
  else
    failed+=("$name")
    printf '%sFAILED%s  %s (%s s)\n%s\n' "$RED" "$PLAIN" "$name" "$took" "$output"
  fi
done

if [ ${#failed[@]} -gt 0 ]; then
  echo "error: ${#failed[@]} of $# checks failed: ${failed[*]}; what they found stands above" >&2
  exit 1
fi
echo "all $# checks passed"
