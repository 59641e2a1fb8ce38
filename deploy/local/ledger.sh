#!/usr/bin/env bash
# Run the plain-process stack's second nats-server, which keeps the ledger, in the foreground; arguments go to it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
server=$root/.venv/bin/nats-server
[ -x "$server" ] || {
  echo "ledger.sh: $server is missing; install it: just setup" >&2
  exit 1
}

run=$(realpath -m "${HMM_RUN_DIR:-$root/.run}")
[ -s "$run/keys/public.env" ] || HMM_RUN_DIR=$run "$root/.venv/bin/hmm" keys >&2
set -a
# shellcheck source=/dev/null
. "$run/keys/public.env"
set +a
HMM_LEDGER_SEED=$(<"$run/keys/ledger.nk")
export HMM_LEDGER_SEED
export HMM_LEDGER_MONITOR_PORT=${HMM_LEDGER_MONITOR_PORT:-8223}
export HMM_LEDGER_STORE="'$run/ledger'" # quoted, because the server parses the value as if it stood in its file
export HMM_NATS_LEAF_URL="'nats://127.0.0.1:${HMM_NATS_LEAF_PORT:-7422}'"
exec "$server" -c "$root/deploy/nats/secured-ledger.conf" "$@"
