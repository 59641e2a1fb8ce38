"""Bring market data onto the tape: the feed edge."""

import asyncio
import itertools
import logging
import sys
import time
from collections.abc import Iterator

from nats.aio.client import Client
from prometheus_client import Counter, Gauge

from contracts.codec import encode, write
from contracts.control import DeadLetter
from contracts.event import Event
from contracts.market import Funding, MarketGap, Quote, Trade
from contracts.ownership import ROLES
from contracts.types import InstrumentId, instrument_id
from eventstore.history import StoredHistory, stored_history
from services.feed.frames import FrameReport, Rejected, fingerprint, read_frames
from services.feed.gaps import GapWatch
from services.feed.pace import ClockPace, Pace, ReaderPace
from services.feed.settings import FeedSettings
from tape.headers import MSG_ID, new_trace, write_headers
from tape.host import HostState
from tape.lookup import last_event, last_message
from tape.provision import TAPE
from tape.publisher import Publisher
from tape.seat import Seat
from tape.service import serve_edge
from tape.settings import load
from tape.wire import Wire
from venues.instruments import BINANCE_SPOT
from venues.market import SimulatedMarket

logger = logging.getLogger(__name__)

FRAMES = Counter("feed_frames_total", "Events brought onto the tape", ["type"])
FRAMES_OF: dict[type[Event], Counter] = {
    event_type: FRAMES.labels(event_type.__name__) for event_type in (Quote, Trade, Funding, MarketGap, DeadLetter)
}
SILENCE = Gauge("ws_message_gap_seconds", "Since the last message of an instrument", ["instrument"])


class Feed:
    """Numbers what a source yields and puts it on the tape; started again, it goes on behind its last number."""

    def __init__(self, settings: FeedSettings, history: StoredHistory | None) -> None:
        self.settings = settings
        self._history = history
        self.state = HostState.STARTING
        self.handled = 0
        self.lag = 0
        self._seat: Seat | None = None
        self._nc: Client | None = None
        self._report = FrameReport()
        self._gaps = GapWatch(int(settings.stale_after_s * 1e9))
        self._heard_at: dict[InstrumentId, float] = {}

    @property
    def position(self) -> int:
        return self._seat.publisher.last_position if self._seat else 0

    @property
    def detail(self) -> str:
        return str(self._report) if self.settings.source != "sim" else f"{self.handled} simulated events"

    async def start(self, wire: Wire) -> None:
        self._nc = wire.nc
        self._seat = Seat(wire, "feed", self.settings.model_dump_json())
        await self._seat.start()
        self.state = HostState.STANDBY

    async def run(self) -> None:
        assert self._seat is not None
        await self._seat.take()
        self.state = HostState.LIVE
        await self._seat.while_held(self._bring(self._seat.publisher))

    async def _bring(self, publisher: Publisher) -> None:
        if self.settings.source == "sim":
            run, source = await self._simulated()
        else:
            run, source = f"feed/frames-{fingerprint(self.settings.files)}", self._recorded()
        done = await self._already_done(run)
        if done:
            logger.info("%s events of this run are on the tape already: going on behind them", done)
        pace = self._pace()
        for number, event in enumerate(itertools.islice(source, done, None), start=done):
            await pace.wait(event.ts_init)
            await self._put(publisher, event, f"{run}/{number}")
        await publisher.flush()
        self.state = HostState.FINISHED
        logger.info("finished: %s", self._report)
        for rejected in self._report.rejected:
            logger.warning("skipped %s: %s", rejected.source, rejected.reason)

    async def stop(self) -> None:
        if self._seat is not None:
            await self._seat.leave()

    async def _put(self, publisher: Publisher, event: Event, msg_id: str) -> None:
        now = time.time_ns()
        headers = write_headers(event, msg_id, None, now, new_trace(now, self.handled))
        # Market data was checked where it was read or made.
        payload = write(event) if isinstance(event, Quote | Trade | Funding) else encode(event)
        await publisher.publish(type(event).subject_of(event), payload, headers)
        self.handled += 1
        FRAMES_OF[type(event)].inc()
        if isinstance(event, Quote | Trade | Funding):
            self._heard(event.instrument)

    def _heard(self, instrument: InstrumentId) -> None:
        if instrument not in self._heard_at:
            SILENCE.labels(instrument).set_function(lambda: time.monotonic() - self._heard_at[instrument])
        self._heard_at[instrument] = time.monotonic()

    def _recorded(self) -> Iterator[Event]:
        """What the files say, with dead letters for what cannot be taken and gaps where something is missing."""
        for frame in read_frames(self.settings.files, self.settings.venue, self._report):
            if isinstance(frame, Rejected):
                yield DeadLetter(
                    ts_event=frame.received_ns,
                    ts_init=frame.received_ns,
                    component="feed",
                    source=frame.source,
                    reason=frame.reason[:2000],
                    excerpt=frame.excerpt,
                )
                continue
            yield from self._gaps.look(frame)
            yield frame

    async def _simulated(self) -> tuple[str, Iterator[Event]]:
        """A market that goes on at the prices that the tape ends with."""
        assert self._nc is not None
        instruments = [BINANCE_SPOT[instrument_id(self.settings.venue, symbol)] for symbol in self.settings.symbols]
        prices = {item.id: price for item in instruments if (price := await self._last_mid(item.id)) is not None}
        info = await self._nc.jetstream(timeout=10).stream_info(TAPE)
        market = SimulatedMarket(instruments, f"{self.settings.seed}/{info.state.last_seq}", time.time_ns(), prices)
        return f"feed/sim-{market.start_ns}", market.events(self.settings.quotes_per_s)

    async def _last_mid(self, instrument: InstrumentId) -> float | None:
        assert self._nc is not None
        quote = await last_event(self._nc, Quote, f"md.quote.{instrument}")
        return quote.mid if quote else None

    async def _already_done(self, run: str) -> int:
        """How many events of this run are on the tape, or were before it was made anew."""
        assert self._nc is not None
        newest = 0
        last: str | None = None
        for subject in ROLES["feed"].write_subjects():
            position, headers = await last_message(self._nc, subject)
            msg_id = headers.get(MSG_ID, "")
            if position > newest and msg_id.rpartition("/")[0] == run:
                newest, last = position, msg_id
        if not last and self._history is not None:
            last = await asyncio.to_thread(self._history.last_id_of, run)
        return int(last.rpartition("/")[2]) + 1 if last else 0

    def _pace(self) -> Pace:
        times_faster = self.settings.times_faster
        if times_faster is not None:
            return ClockPace(times_faster)
        assert self._nc is not None
        return ReaderPace(self._nc, self.settings.max_lag)


def problem(settings: FeedSettings) -> str | None:
    """Say why there can be no such feed here; None if there can."""
    if settings.source != "sim":
        missing = [str(file) for file in settings.files if not file.is_file()]
        return f"HMM_FEED_SOURCE: there is no file {', '.join(missing)}" if missing else None
    unknown = [symbol for symbol in settings.symbols if instrument_id(settings.venue, symbol) not in BINANCE_SPOT]
    if unknown:
        return f"HMM_FEED_SYMBOLS: no {', '.join(unknown)} of {settings.venue}; there are {', '.join(BINANCE_SPOT)}"
    return None


if __name__ == "__main__":
    wanted = load(FeedSettings, "feed")
    if wrong := problem(wanted):
        sys.exit(f"feed: {wrong}")
    serve_edge("feed", Feed(wanted, stored_history()))
