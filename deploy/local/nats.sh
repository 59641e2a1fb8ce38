#!/usr/bin/env bash
# Run the plain-process stack's nats-server, which keeps the tape, in the foreground; arguments go to it (`-t` only
# checks the configuration).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
server=$root/.venv/bin/nats-server
[ -x "$server" ] || {
  echo "nats.sh: $server is missing; install it: just setup" >&2
  exit 1
}

run=$(realpath -m "${HMM_RUN_DIR:-$root/.run}")
# A user that came with a newer version has no key yet.
wanted=$(grep -o 'HMM_NKEY_[A-Z_]*' "$root/deploy/nats/permissions.conf" | sort -u)
known=$(grep -so '^HMM_NKEY_[A-Z_]*' "$run/keys/public.env" | sort -u) || true
[ -z "$(comm -23 <(echo "$wanted") <(echo "$known"))" ] || HMM_RUN_DIR=$run "$root/.venv/bin/hmm" keys >&2
set -a # the public keys of all users
# shellcheck source=/dev/null
. "$run/keys/public.env"
set +a
export HMM_NATS_HOST=${HMM_NATS_HOST:-127.0.0.1}
export HMM_NATS_PORT=${HMM_NATS_PORT:-4222}
export HMM_NATS_MONITOR_PORT=${HMM_NATS_MONITOR_PORT:-8222}
export HMM_NATS_LEAF_PORT=${HMM_NATS_LEAF_PORT:-7422}
export HMM_NATS_STORE="'$run/nats'" # quoted, because the server parses the value as if it stood in its file
exec "$server" -c "$root/deploy/nats/secured.conf" "$@"
