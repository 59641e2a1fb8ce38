"""What the commands have in common that write chunks: servers, the one writer's place, and how it may end badly."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
from nats.errors import Error as NatsError
from pydantic import BaseModel

from contracts.types import Interval
from eventstore.history import StoredHistory
from services.cli.broker import Unreachable, connect
from services.cli.database import reason
from services.cli.errors import fail, misused, not_running
from services.cli.settings import StackSettings, current
from services.cli.temporary import running_servers
from services.ingest.writing import Busy, Writing, write
from tape.history import HistoryMissing
from tape.lease import LeaseLost
from tape.objects import ObjectsAway
from tape.publisher import PublishFailed
from tape.streams import ProvisionRefused

Work = Callable[[Writing], Awaitable[None]]


def write_chunks(by: str, settings: BaseModel, work: Work) -> None:
    """Do `work` as the one writer of the name `by`, with servers of our own where no stack runs."""
    with running_servers(current()) as stack:
        try:
            asyncio.run(_write(stack, by, settings.model_dump_json(), work))
        except Unreachable as error:
            not_running(str(error))
        except Busy as busy:
            fail(f"another {by} is at work: {busy}", "wait until it is done, or end it")
        except (HistoryMissing, ObjectsAway, LeaseLost, PublishFailed, ProvisionRefused) as error:
            fail(str(error), "what was told so far stays; run the same again to go on")
        except psycopg.OperationalError as error:
            fail(reason(error))
        except NatsError as error:
            fail(f"the NATS server went away: {str(error) or type(error).__name__}", "run the same again to go on")


def interval_named(text: str) -> Interval:
    try:
        return Interval(text)
    except ValueError:
        misused(f"{text} is no interval", f"it is one of {', '.join(known.value for known in Interval)}")


async def _write(stack: StackSettings, by: str, settings: str, work: Work) -> None:
    nc = await connect(stack)
    try:
        await write(nc, by, settings, StoredHistory(stack.database_url), work)
    finally:
        await nc.close()
