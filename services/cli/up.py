"""`hmm up`: look at everything that can be wrong, start the supervisor, and attend the stack."""

import asyncio
import time

from services.cli import launch
from services.cli.attendance import Attendance
from services.cli.feed import parse_feed
from services.cli.keys import make_keys
from services.cli.settings import from_environment


def start_stack(feed: str, speed: str, *, fresh: bool, detach: bool) -> int:
    """Start what the arguments ask for, after everything that can be wrong with it; returns the exit code."""
    began = time.monotonic()
    choice = parse_feed(feed, speed)
    settings = from_environment()
    if fresh:
        launch.require_ours(settings)
    launch.require_not_running(settings)
    if settings.external_nats_url is None:
        make_keys(settings.keys)
    environment = launch.full_environment(settings, choice)
    stack = launch.read_stack(settings, environment)
    launch.require_tools(stack)
    launch.require_ports(settings, stack)
    if fresh:
        deleted = launch.forget(settings)
        print(f"--fresh: {'deleted ' + ', '.join(map(str, deleted)) if deleted else 'there was nothing to delete'}")
    print(f"starting {', '.join(stack.processes)} (feed {choice.source}, speed {choice.speed})", flush=True)
    daemon = launch.start_supervisor(settings, environment)
    return asyncio.run(Attendance(settings, stack, choice, daemon, began, detach=detach).run())
