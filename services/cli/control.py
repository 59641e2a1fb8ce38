"""`hmm control`: let the system trade, only reduce, or not trade at all (the kill switch)."""

import asyncio
import getpass
import time

from contracts.codec import encode
from contracts.control import TradingStateSet
from contracts.types import TradingState
from services.cli.errors import misused
from services.cli.settings import current
from services.cli.tape import connect
from tape.headers import new_trace, write_headers


def set_trading_state(state: str, reason: str) -> None:
    """Put the operator's word on the tape; it is there when this returns."""
    try:
        wanted = TradingState(state.lower().replace("-", "_"))
    except ValueError:
        misused(f"{state} is no trading state", f"it is one of {', '.join(known.value for known in TradingState)}")
    position = asyncio.run(_say(wanted, reason))
    print(f"trading is {wanted.value} from position {position} on")


async def _say(state: TradingState, reason: str) -> int:
    now = time.time_ns()
    said = TradingStateSet(ts_event=now, ts_init=now, state=state, operator=getpass.getuser(), reason=reason)
    nc = await connect(current())
    try:
        headers = write_headers(said, f"ops/control-{now}", None, now, new_trace(now, now))
        ack = await nc.jetstream(timeout=10).publish(TradingStateSet.subject_of(said), encode(said), headers=headers)
        return ack.seq
    finally:
        await nc.close()
