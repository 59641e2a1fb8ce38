#!/usr/bin/env bash
# Run the plain-process stack's PostgreSQL with TimescaleDB in the foreground; the first start creates its data.
# Ready means: postgresql://hmm@127.0.0.1:$HMM_POSTGRES_PORT/hmm answers. Stop it with SIGINT (SIGTERM waits for clients).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
port=${HMM_POSTGRES_PORT:-5433}
run=$(realpath -m "${HMM_RUN_DIR:-$here/../../.run}")
data=$run/postgres

fail() {
  echo "postgres.sh: $*" >&2
  exit 1
}

# Processes that work in the data directory: a running server, or what a killed one left behind.
holders() {
  local process
  for process in /proc/[0-9]*; do
    if [ "$process/cwd" -ef "$data" ]; then echo "${process#/proc/}"; fi
  done
}

# After kill -9 the pid file stays and its pid may now be anybody's: it counts only with a process in the directory.
clear_stale_pid_file() {
  local pid tries=0
  [ -e "$data/postmaster.pid" ] || return 0
  read -r pid <"$data/postmaster.pid" || pid=0
  while [ -n "$(holders)" ]; do
    if [ "/proc/$pid/cwd" -ef "$data" ]; then
      fail "a server (pid $pid) already runs on $data; stop it first: kill -INT $pid"
    fi
    if ((++tries > 100)); then
      fail "processes of a killed server still hold $data; end them: kill -QUIT $(holders | tr '\n' ' ')"
    fi
    sleep 0.1
  done
  rm -f "$data/postmaster.pid"
}

# PostgreSQL refuses root. Sets `as` to what must stand in front of its programs.
as=()
become_postgres() {
  [ "$(id -u)" = 0 ] || return 0
  id postgres >/dev/null 2>&1 || fail "root cannot run PostgreSQL and there is no user 'postgres'; add it: useradd --system postgres"
  chown postgres: "$1"
  # `keep`: changing the user would otherwise forget that we are to die with our supervisor.
  as=(setpriv --reuid=postgres --regid=postgres --init-groups --pdeathsig=keep)
  if "${as[@]}" env --chdir="$1" true 2>/dev/null; then return 0; fi
  # The project lies below a directory that user may not enter (such as /root): lend it the right to.
  as+=(--inh-caps=+dac_override --ambient-caps=+dac_override)
  "${as[@]}" env --chdir="$1" true 2>/dev/null || fail "user 'postgres' cannot reach $1; set HMM_RUN_DIR to a directory it may enter"
}

# Trust on loopback, because this stack belongs to the one person on this machine and its URL shall need no secret.
# Yet only for ordinary roles: a superuser may run programs, so the superuser has no way in over the network.
write_host_rules() {
  printf '%s\n' 'host all postgres all reject' 'host all all 127.0.0.1/32 trust' >"$1/pg_hba.conf"
}

# All in a directory aside that is renamed when complete: an interrupted first start leaves nothing half made.
create_data() {
  local new=$data.new
  rm -rf "$new"
  mkdir -m 700 "$new"
  become_postgres "$new"
  "${as[@]}" "$bin/initdb" --pgdata="$new" --username=postgres --encoding=UTF8 --locale=C --auth=reject >/dev/null
  printf '%s\n' \
    'CREATE ROLE hmm LOGIN CREATEDB CREATEROLE' \
    'GRANT pg_monitor TO hmm' \
    'CREATE DATABASE hmm OWNER hmm TEMPLATE template0' |
    "${as[@]}" "$bin/postgres" --single -c exit_on_error=on -c log_min_messages=fatal -D "$new" postgres >/dev/null
  write_host_rules "$new"
  mv "$new" "$data"
}

bin=$("$here/find-postgres.sh") || fail "no PostgreSQL with TimescaleDB found; install it: just setup"
mkdir -p "$run"
cd / # the server user may not be able to enter the directory we were called from
if [ -d "$data" ]; then become_postgres "$data"; else create_data; fi
clear_stale_pid_file
cp "$here/postgresql.conf" "$data/postgresql.conf"
# Only the community edition has jobs to run; the Apache edition's scheduler would just log that it may not.
workers=0
if compgen -G "$("$bin/pg_config" --pkglibdir)/timescaledb-tsl-*.so" >/dev/null; then workers=4; fi
exec "${as[@]}" "$bin/postgres" -D "$data" -p "$port" -c timescaledb.max_background_workers=$workers
