"""The supervisor daemon: `python -m services.supervisor.app --file FILE --run DIR [--without NAME,...]`.

Started by `hmm up`, from the directory that the file's relative paths are meant from.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from services.supervisor import guard
from services.supervisor.control import Control
from services.supervisor.logs import Logs
from services.supervisor.model import ConfigError, Stack, load_stack
from services.supervisor.state import Identity, try_lock, write_identity
from services.supervisor.supervise import OWN_LOG, Supervisor

EXIT_FAILED = 1
EXIT_RUNNING = 4


def main() -> None:
    arguments = _parse()
    try:
        stack = load_stack(arguments.file, os.environ).without(frozenset(filter(None, arguments.without.split(","))))
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_FAILED)
    arguments.run.mkdir(parents=True, exist_ok=True)
    if try_lock(arguments.run) is None:
        print(f"another supervisor runs on {arguments.run}", file=sys.stderr)
        sys.exit(EXIT_RUNNING)
    guard.divide()  # both halves hold the lock: it is free when the last of the stack is gone
    asyncio.run(_supervise(stack, arguments.run))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="services.supervisor.app", description="Run a stack of processes.")
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--without", default="")
    return parser.parse_args()


async def _supervise(stack: Stack, run: Path) -> None:
    identity = Identity(pid=os.getpid(), since=time.time())
    write_identity(run, identity)
    logs = Logs(run / "logs")
    logs.write(OWN_LOG, f"supervisor started, pid {identity.pid}".encode())
    supervisor = Supervisor(stack, Path.cwd(), os.environ, logs)
    server = await Control(run, supervisor, identity, logs).serve()
    stopping: set[asyncio.Task[None]] = set()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(
            number, lambda: stopping.add(asyncio.create_task(supervisor.stop()))
        )
    supervisor.start()
    await supervisor.stopped.wait()
    logs.write(OWN_LOG, b"supervisor stopped")
    await asyncio.sleep(0.1)  # so that those who asked for it, and those who follow, still hear it
    server.close()
    (run / "supervisor.sock").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
