#!/usr/bin/env bash
# Start the stack in containers (`just up-docker`); arguments go to `docker compose up`.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
run=$(realpath -m "${HMM_RUN_DIR:-$here/../../.run}")
secrets=$run/compose.env

docker compose version >/dev/null 2>&1 || {
  echo "up-docker: docker with its compose plugin is missing; install it, or run without containers: just up" >&2
  exit 1
}

# Made once: the database's volume remembers the password it was created with.
if [ ! -s "$secrets" ]; then
  mkdir -p "$run"
  (umask 077 && echo "HMM_POSTGRES_PASSWORD=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" >"$secrets")
fi
exec docker compose --env-file "$secrets" --file "$here/compose.yaml" up --build "$@"
