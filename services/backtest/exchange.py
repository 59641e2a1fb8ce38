"""What the arguments of a run mean for its exchange."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from services.backtest.script import Script
from services.backtest.settings import BacktestSettings, Unusable
from services.gateway.settings import GatewaySettings
from venues.instruments import Listing

_BPS = Decimal(10_000)


def exchange_wanted(usual: GatewaySettings, asked: BacktestSettings) -> Iterator[tuple[str, object]]:
    """Say what is other than usual; None where it is not."""
    yield "seed", asked.seed
    yield "latency_ms", asked.latency_ms
    yield "report_latency_ms", asked.report_latency_ms
    yield "feed_latency_ms", asked.feed_latency_ms
    yield from _fees(usual, asked)
    slippage = {"constant_bps": asked.slippage_bps, "impact_bps": asked.impact_bps}
    yield from _within("slippage", usual.slippage.model_dump(), slippage)
    if asked.borrow_bps is not None:
        lent = {"per_day": asked.borrow_bps / _BPS, "own": asked.capital}
        yield from _within("borrow", usual.borrow.model_dump(), lent)
    if asked.script is not None:
        yield from _disturbed(usual, asked.script)


def _within(group: str, usual: Mapping[str, object], wanted: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    changes = {key: value for key, value in wanted.items() if value is not None}
    if changes:
        yield group, {**usual, **changes}


def _fees(usual: GatewaySettings, asked: BacktestSettings) -> Iterator[tuple[str, object]]:
    """Fees that are asked for are paid whatever is traded."""
    fees = {"maker_fee": asked.maker_fee_bps, "taker_fee": asked.taker_fee_bps}
    shares: dict[str, object] = {key: bps / _BPS for key, bps in fees.items() if bps is not None}
    if shares:
        shares["fee_tiers"] = ()
        yield from shares.items()
        yield "perpetuals", {**usual.perpetuals.model_dump(), **shares}


def _disturbed(usual: GatewaySettings, script: Script) -> Iterator[tuple[str, object]]:
    yield "outages", (*usual.outages, *script.outages)
    yield "rejects", (*usual.rejects, *script.rejects)
    yield "slowdowns", (*usual.slowdowns, *script.slowdowns)
    yield "halts", (*usual.halts, *script.halts)


def require_listed(settings: GatewaySettings, listing: Listing) -> None:
    """Refuse to disturb the trading of what is not traded; raises `Unusable`."""
    refused = (("rejects", one.instrument) for one in settings.rejects)
    halted = (("halts", one.instrument) for one in settings.halts)
    for of, instrument in (*refused, *halted):
        if instrument is not None and instrument not in listing:
            raise Unusable(f"gateway.{of}: {instrument} is not listed", f"there are {', '.join(listing)}")
