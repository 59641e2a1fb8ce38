#!/usr/bin/env bash
# Install what the project needs (`just setup`): .venv from requirements.lock, and PostgreSQL with TimescaleDB.
# Done before, it returns at once. `--check` only tells by its exit status whether .venv is up to date.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
stamp=.venv/hmm-setup.stamp

fail() {
  echo "setup.sh: $*" >&2
  exit 1
}

say() { echo "setup: $*" >&2; }

# What the environment depends on; its own place too, because its scripts and the editable install name it.
fingerprint() {
  echo "$root"
  sha256sum requirements.lock pyproject.toml
}

environment_is_current() {
  [ -x .venv/bin/python ] && [ -x .venv/bin/hmm ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ]
}

# Sets `uv` to how it is called here: pip's script directory need not be on PATH.
find_uv() {
  uv=(uv)
  command -v uv >/dev/null && return
  uv=(python3 -m uv)
  "${uv[@]}" --version >/dev/null 2>&1 || fail "uv is missing; install it: python3 -m pip install rust-just uv"
}

make_environment() {
  local uv distributed
  find_uv
  export UV_PYTHON_DOWNLOADS=never # the system's Python, never a download from elsewhere
  if [ -e /etc/ssl/certs/ca-certificates.crt ]; then export UV_SYSTEM_CERTS=1; fi # who trusts a proxy says so there
  if ! .venv/bin/python -c '' 2>/dev/null; then
    # That of the distribution is optimised by profiles, which one built by hand seldom is: 15 % more speed.
    distributed=$(command -pv python3.11 || echo 3.11)
    "${uv[@]}" venv -q --clear --python "$distributed" .venv 2>/dev/null ||
      "${uv[@]}" venv -q --clear --python '>=3.11' .venv ||
      fail "no Python 3.11 or newer found; install it: apt-get install python3"
  fi
  say "installing $(grep -c == requirements.lock) Python packages into .venv"
  rm -f "$stamp"
  # Compiled now, or each of a dozen processes compiles it anew at every start where Python may not write bytecode.
  "${uv[@]}" pip sync -q --python .venv --compile-bytecode --require-hashes requirements.lock ||
    fail "the packages of requirements.lock could not be installed (see above); if .venv is damaged, delete it"
  "${uv[@]}" pip install -q --python .venv --offline --no-deps --no-build-isolation --editable . ||
    fail "the project itself could not be installed into .venv (see above)"
  .venv/bin/python -m compileall -q libs services
  fingerprint >"$stamp"
}

if [ "${1:-}" = --check ]; then
  environment_is_current
  exit
fi

exec 9<"$0" # two shells may run this at once: the second waits, and finds everything done
flock 9
environment_is_current || make_environment
if [ -z "${HMM_DATABASE_URL:-}" ] && ! "$here/find-postgres.sh" >/dev/null; then "$here/install-postgres.sh"; fi
