set positional-arguments
set shell := ["bash", "-euo", "pipefail", "-c"]

# List the recipes
default:
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" --list

# Install what is missing: .venv, PostgreSQL with TimescaleDB; returns at once when all is there
[group('run')]
setup:
    @deploy/local/setup.sh

# Start the system, e.g. `just up --feed sim --detach`
[group('run')]
up *ARGS: setup
    @.venv/bin/hmm up "$@"

# Stop it
[group('run')]
down:
    @.venv/bin/hmm down

# Show each process, the tape, orders, positions and equity
[group('run')]
status *ARGS:
    @.venv/bin/hmm status "$@"

# Show the log of one process, e.g. `just logs feed`
[group('run')]
logs NAME *ARGS:
    @.venv/bin/hmm logs "$@"

# Let the system trade the past, e.g. `just backtest --data bars:FILE --out r`
[group('run')]
backtest *ARGS: setup
    @.venv/bin/hmm backtest "$@"

# Judge what components said by what they say now, e.g. `just audit --all`
[group('run')]
audit *ARGS:
    @.venv/bin/hmm audit "$@"

# Say what is missing on this machine, and how to get it; needs nothing but Python
[group('run')]
doctor:
    @python=.venv/bin/python; [ -x "$python" ] || python=python3; "$python" -m services.cli.doctor

# The same system in containers
[group('run')]
up-docker *ARGS:
    @deploy/compose/up.sh "$@"

# All checks, then all tests, against servers of their own on free ports
[group('check')]
test *ARGS: setup lint
    PYTHONDONTWRITEBYTECODE= .venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"

# Tests that need no server
[group('check')]
test-unit *ARGS: setup
    PYTHONDONTWRITEBYTECODE= .venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder tests/unit "$@"

# Every static check: style, types, imports, scripts, containers, schemas
[group('check')]
lint: setup
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/mypy
    .venv/bin/lint-imports
    .venv/bin/shellcheck deploy/*/*.sh .ci/run
    deploy/local/nats.sh -t
    deploy/local/ledger.sh -t
    .venv/bin/compose-lint --fail-on low --strict-config --skip-suppressed --quiet deploy/compose/compose.yaml
    .venv/bin/hadolint deploy/compose/Dockerfile
    .venv/bin/hmm schemas --check
    "{{ just_executable() }}" --fmt --check --unstable

# The real hosts on a simulated server, under seeded faults, e.g. `just simulate --seeds 200 --steps 20000`
[group('check')]
simulate *ARGS: setup
    @.venv/bin/python -m services.simulator.app "$@"

# The real stack, killed and paused at random, e.g. `just chaos --minutes 10 --rate 1000`
[group('check')]
chaos *ARGS: setup
    @.venv/bin/python -m services.chaos.app "$@"

# Measure speed; figures are ratios to a floor measured in the same run
[group('check')]
bench *ARGS: setup
    .venv/bin/pytest tests/bench -s "$@"

# Write what is generated: schemas/ and the NATS server's permissions
[group('change')]
schemas: setup
    .venv/bin/hmm schemas

# Format the code and mend what can be mended mechanically
[group('change')]
fmt: setup
    .venv/bin/ruff check --fix .
    .venv/bin/ruff format .
    "{{ just_executable() }}" --fmt --unstable
