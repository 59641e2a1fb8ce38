#!/usr/bin/env bash
# Start the stack in containers (`just up-docker`); arguments go to `docker compose up`.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
run=$(realpath -m "${HMM_RUN_DIR:-$here/../../.run}")
secrets=$run/compose.env
image=nautilus-hmm:local

docker compose version >/dev/null 2>&1 || {
  echo "up-docker: docker with its compose plugin is missing; install it, or run without containers: just up" >&2
  exit 1
}

# Made once: the database's volume remembers the password it was created with.
if [ ! -s "$secrets" ]; then
  mkdir -p "$run"
  (umask 077 && echo "HMM_POSTGRES_PASSWORD=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" >"$secrets")
fi

# The keys of the NATS server's users: whoever has only docker has no other program that could make them.
docker build --quiet --tag "$image" --file "$here/Dockerfile" "$here/../.." >/dev/null
docker run --rm --network none --read-only --cap-drop ALL --user "$(id -u):$(id -g)" \
  --volume "$run:/run/hmm" --env HMM_RUN_DIR=/run/hmm "$image" hmm keys

# A secret is mounted as the file it is, and the users of the containers are others than ours: these copies anybody
# could read, but nobody else gets into their directory.
export HMM_PUBLIC_KEYS=$run/keys/public.env HMM_SECRET_KEYS=$run/container-keys
(umask 077 && mkdir -p "$HMM_SECRET_KEYS")
install -m 444 "$run"/keys/*.nk "$HMM_SECRET_KEYS"

exec docker compose --env-file "$secrets" --file "$here/compose.yaml" up --build "$@"
