#!/usr/bin/env bash
# What CI runs, from nothing: installs what is missing, then all tests. Usage: test.sh [quick | crash]
set -o errexit -o nounset -o pipefail

cd "$(dirname "$0")/../.."
bash lab/cli/preflight.sh
if ! command -v shellcheck >/dev/null; then
  printf '== apt: shellcheck\n'
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends shellcheck >/dev/null
fi
exec node_modules/.bin/node --disable-warning=ExperimentalWarning scripts/build/test.ts "$@"
