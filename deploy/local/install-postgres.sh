#!/usr/bin/env bash
# Install PostgreSQL with TimescaleDB from Debian. Where no binary package has it (bookworm), build trixie's source package.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=
no_cluster=/etc/postgresql-common/createcluster.d/hmm-setup.conf

fail() {
  echo "install-postgres.sh: $*" >&2
  exit 1
}

say() { echo "setup: $*" >&2; }

clean_up() {
  rm -f "$no_cluster"
  if [ -n "$work" ]; then rm -rf "$work"; fi
}

# Run one slow command silently; show the end of what it said only if it fails.
quietly() {
  local log=$work/command.log
  if ! "$@" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail "failed: $* (see above)"
  fi
}

apt() {
  quietly env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 -o APT::Sandbox::User=root "$@"
}

newest_package() { apt-cache search --names-only "$1" | cut -d ' ' -f 1 | sort -V | tail -n 1; }

# Debian's own mirror as this machine knows it, whichever way it is written down: no host stands in this project.
debian_mirror() {
  # shellcheck disable=SC2016 # the fields are apt's
  apt-get indextargets --format '$(LABEL) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 == "main" && !found++ { print $3 }'
}

# A source list, package lists and caches of our own: the machine's apt configuration stays as it is.
fetch_source() {
  local mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  mirror=$(debian_mirror)
  [ -n "$mirror" ] || fail "apt knows no Debian mirror; install PostgreSQL with TimescaleDB yourself, or set HMM_DATABASE_URL"
  mkdir -p "$work/sources" "$work/lists/partial"
  printf '%s\n' 'Types: deb-src' "URIs: $mirror" 'Suites: trixie' 'Components: main' >"$work/sources/trixie.sources"
  if [ -e "$keyring" ]; then echo "Signed-By: $keyring" >>"$work/sources/trixie.sources"; fi
  local private=(
    -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/sources" -o "Dir::State::Lists=$work/lists"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
  )
  cd "$work"
  apt "${private[@]}" update
  apt "${private[@]}" source --only-source timescaledb
}

build_timescaledb() {
  local pg_config=$1
  say "building TimescaleDB for $("$pg_config" --version) (half a minute)"
  cd "$work"/timescaledb-*/
  quietly cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DAPACHE_ONLY=1 -DREGRESS_CHECKS=OFF \
    -DTAP_CHECKS=OFF -DWARNINGS_AS_ERRORS=OFF -DPG_CONFIG="$pg_config"
  quietly ninja -C build
  quietly ninja -C build install
}

command -v apt-get >/dev/null ||
  fail "no PostgreSQL with TimescaleDB here and no apt to install it; install both, or set HMM_DATABASE_URL to a server that has them"
[ "$(id -u)" = 0 ] ||
  fail "no PostgreSQL with TimescaleDB here; installing it needs root once: sudo $here/install-postgres.sh"

trap clean_up EXIT
work=$(mktemp -d)

# The package would set up and start a server of its own on port 5432; ours lives in the project.
mkdir -p "$(dirname "$no_cluster")"
echo 'create_main_cluster = false' >"$no_cluster"

say "updating package lists"
apt update

packaged=$(newest_package '^postgresql-[0-9]+-timescaledb$')
if [ -n "$packaged" ]; then
  say "installing $packaged"
  apt install -y --no-install-recommends "${packaged%-timescaledb}" "$packaged"
else
  server=$(newest_package '^postgresql-1[4-7]$') # what trixie's TimescaleDB supports
  [ -n "$server" ] || fail "apt has no PostgreSQL 14 to 17; install one with TimescaleDB, or set HMM_DATABASE_URL"
  say "installing $server and build tools (one or two minutes)"
  apt install -y --no-install-recommends \
    "$server" "postgresql-server-dev-${server#postgresql-}" cmake ninja-build dpkg-dev gcc libc6-dev libssl-dev libkrb5-dev
  say "fetching the source of TimescaleDB"
  fetch_source
  build_timescaledb "/usr/lib/postgresql/${server#postgresql-}/bin/pg_config"
fi

"$here/find-postgres.sh" >/dev/null || fail "PostgreSQL with TimescaleDB is still not found under /usr/lib/postgresql"
