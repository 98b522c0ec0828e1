#!/usr/bin/env bash
# What CI runs, from nothing: installs what is missing, then all tests. Usage: test.sh [quick | crash | faults | rolls | runbooks | security | cost | examples]
set -o errexit -o nounset -o pipefail

cd "$(dirname "$0")/../.."
bash lab/cli/preflight.sh
if ! command -v shellcheck >/dev/null; then
  printf '== apt: shellcheck\n'
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends shellcheck >/dev/null
fi
if [ ! -x /usr/sbin/sshd ]; then
  # The tests of remote commands start an sshd of their own, on loopback. Installing it must not start the system's.
  printf '== apt: openssh-server\n'
  policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then
    policy=
  else
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openssh-server >/dev/null
  [ -z "$policy" ] || rm -f "$policy"
  trap - EXIT
fi
exec node_modules/.bin/node --disable-warning=ExperimentalWarning scripts/build/test.ts "$@"
