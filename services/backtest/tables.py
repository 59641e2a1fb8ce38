"""Files of bars, trades or quotes as a market: with what is assumed between their rows."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import chain

from contracts.event import Event
from contracts.market import Bar, Quote, Trade
from contracts.types import InstrumentId, Interval
from eventstore.marketdata.columns import DataKind as Rows
from eventstore.marketdata.columns import FileMapping
from eventstore.marketdata.faults import Policy
from eventstore.marketdata.forms import BadFile
from eventstore.marketfiles import Market, read_market
from services.backtest.listed import listing_with
from services.backtest.settings import BacktestSettings, DataKind, DataSource, Unusable
from services.backtest.sources import Change, Keep, Reading, Source, as_read, as_told
from services.backtest.wiring import Nature
from services.bars.settings import PriceSource
from venues.instruments import Listing
from venues.simulated.barpath import BarPath, BarPathSettings

_AROUND_TRADES = ("the market stands around each trade, --spread wide, and shows its size on both sides (optimistic)",)

_SEVERAL = ("an order that was decided on as bars of several instruments closed may trade at the price of that close",)


def tables(data: DataSource, asked: BacktestSettings, change: Change = as_told, keep: Keep = as_read) -> Source:
    """Open files of rows; raises `Unusable`, and so do its events where a file is bad."""
    mapping = FileMapping(
        venue=asked.venue,
        kind=Rows(data.kind.value),
        symbol=asked.symbol,
        columns=asked.columns,
        sizes=asked.sizes,
        zone=asked.zone,
        bar_time=asked.bar_time,
    )
    try:
        market = read_market(data.files, mapping, Policy.REPAIR if asked.repair else Policy.ERROR)
    except BadFile as bad:
        raise _refused(bad, asked) from None
    listing, rules = listing_with(_first_prices(market, mapping))
    reading = keep(Reading(_checked(market.lists, asked), lambda: market.found.rows, market.found.by_kind))
    told = change(chain.from_iterable(reading.lists))
    events, interval, assumed = _played(data.kind, market, told, listing, asked)
    prices = PriceSource.MID if data.kind is DataKind.QUOTES else None
    nature = Nature(interval, _currency(market, listing), prices)
    return Source(events, listing, nature, reading.rows_done, reading.repairs, (*market.found.notes, *rules, *assumed))


def _currency(market: Market, listing: Listing) -> str | None:
    """Give the currency that all is paid in; None where there are several."""
    currencies = {listing[instrument].quote_currency for instrument in market.instruments if instrument in listing}
    return currencies.pop() if len(currencies) == 1 else None


Played = tuple[Iterator[Event], Interval | None, tuple[str, ...]]


def _played(
    kind: DataKind, market: Market, events: Iterator[Event], listing: Listing, asked: BacktestSettings
) -> Played:
    """Put what may have happened between two rows in its place."""
    match kind:
        case DataKind.BARS:
            interval = market.longest_bar
            assert interval is not None
            settings = BarPathSettings(order=asked.path, spread_bps=asked.spread_bps)
            assumed = (*settings.assumptions(), *(_SEVERAL if len(market.instruments) > 1 else ()))
            return on_tick(BarPath(settings).walk(events, interval), listing), interval, assumed
        case DataKind.TRADES:
            return on_tick(quoted(events, asked.spread_bps), listing), None, _AROUND_TRADES
        case _:
            return events, None, ()


def _first_prices(market: Market, mapping: FileMapping) -> dict[InstrumentId, float]:
    """Look into a file of each instrument."""
    files = {file.instrument: file.path for file in reversed(market.files)}
    prices = {}
    for instrument, path in files.items():
        shown = next(read_market([path], mapping, Policy.REPAIR).events, None)
        if isinstance(shown, Bar | Trade | Quote):
            prices[instrument] = _price(shown)
    return prices


def _price(shown: Bar | Trade | Quote) -> float:
    match shown:
        case Bar():
            return shown.open
        case Trade():
            return shown.price
        case Quote():
            return shown.ask


def quoted(trades: Iterator[Event], spread_bps: float) -> Iterator[Event]:
    """Put a quote before each trade: without one nothing has a price to be traded at."""
    for trade in trades:
        if isinstance(trade, Trade):
            half = trade.price * spread_bps / 20_000
            yield Quote(
                ts_event=trade.ts_event,
                ts_init=trade.ts_init,
                instrument=trade.instrument,
                bid=trade.price - half,
                bid_size=trade.size,
                ask=trade.price + half,
                ask_size=trade.size,
            )
        yield trade


def on_tick(events: Iterator[Event], listing: Listing) -> Iterator[Event]:
    """Move quotes that were made up onto the tick, away from each other: rounding shall make nothing cheaper."""
    for event in events:
        if isinstance(event, Quote):
            tick = listing[event.instrument].tick
            bid, ask = Decimal(repr(event.bid)), Decimal(repr(event.ask))
            below = max((bid / tick).to_integral_value(ROUND_FLOOR), Decimal(1)) * tick
            above = (ask / tick).to_integral_value(ROUND_CEILING) * tick
            yield replace(event, bid=float(below), ask=float(above)) if (below, above) != (bid, ask) else event
        else:
            yield event


def _checked(lists: Iterator[list[Event]], asked: BacktestSettings) -> Generator[list[Event], None, None]:
    try:
        yield from lists
    except BadFile as bad:
        raise _refused(bad, asked) from None


def _refused(bad: BadFile, asked: BacktestSettings) -> Unusable:
    mendable = "the policy repair" in str(bad) and not asked.repair
    return Unusable(str(bad), "that policy is --repair" if mendable else "")
