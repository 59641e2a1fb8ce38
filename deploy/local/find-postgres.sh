#!/usr/bin/env bash
# Print the program directory of the newest PostgreSQL here that has TimescaleDB; fail quietly when there is none.
set -euo pipefail

has_timescaledb() {
  local bin=$1
  [ -x "$bin/postgres" ] && [ -x "$bin/initdb" ] && [ -x "$bin/pg_config" ] &&
    [ -e "$("$bin/pg_config" --pkglibdir)/timescaledb.so" ] &&
    [ -e "$("$bin/pg_config" --sharedir)/extension/timescaledb.control" ]
}

for version in {30..14}; do # TimescaleDB needs PostgreSQL 14
  bin=/usr/lib/postgresql/$version/bin
  if has_timescaledb "$bin"; then
    echo "$bin"
    exit
  fi
done

server=$(command -v postgres) || exit 1
bin=$(dirname "$(realpath "$server")")
has_timescaledb "$bin" || exit 1
echo "$bin"
