"""How a parity comparison is told: in a few tables for a person, whole for programs."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from services.backtest.parity import Match
from services.backtest.parityorders import Order
from services.backtest.paritypage import Told, moment, spreads
from services.cli.output import number, table

SHOWN = 10
Json = dict[str, Any]


def print_told(told: Told, out: object) -> None:
    """Print the outcome; `out` is where all of it was left, or None."""
    parity = told.parity
    for note in told.notes:
        print(f"note: {note}")
    print(f"positions {told.first:,} to {told.last:,} of {told.source}")
    print(f"audit: {number(told.diverging)} divergences in {number(told.audited)} outputs")
    print(
        f"decisions: {number(parity.both)} of both, {number(parity.only_live)} only live, "
        f"{number(parity.only_run)} only in the run; {number(len(parity.differing))} differ"
    )
    for name, words in spreads(parity):
        print(f"  {name:<14} {words}")
    if parity.books:
        columns = ("strategy", "instrument", "held live", "held run", "profit live", "profit run", "difference")
        table("", columns, list(_books(told)), right=frozenset(columns[2:]))
    if parity.causes:
        causes = [(cause.value, number(one.count), f"{one.worth:+,.4f}") for cause, one in parity.causes.items()]
        title = "why: what live brought more than the run"
        table(title, ("cause", "differences", "worth"), causes, right=frozenset({"differences", "worth"}))
    if parity.differing:
        _print_first(told, out)


def _books(told: Told) -> Iterator[tuple[str, ...]]:
    parity = told.parity
    for held in parity.books:
        apart = held.live_pnl - held.run_pnl
        money = (f"{held.live_pnl:+,.4f}", f"{held.run_pnl:+,.4f}", f"{apart:+,.4f}")
        yield held.strategy, held.instrument, f"{held.live:.8g}", f"{held.run:.8g}", *money
    apart = parity.live_pnl - parity.run_pnl
    yield "together", "", "", "", f"{parity.live_pnl:+,.4f}", f"{parity.run_pnl:+,.4f}", f"{apart:+,.4f}"


def _print_first(told: Told, out: object) -> None:
    differing = told.parity.differing
    print(f"the first decisions that differ, of {number(len(differing))}")
    for match in differing[:SHOWN]:
        print(f"\n{moment(match.decided_at)}  {_named(match)}")
        for one in match.differences:
            worth = f" [{one.worth:+,.4f}]" if one.worth else ""
            print(f"  {one.aspect.value:<12} live {one.live}, run {one.run}: {one.cause.value}{worth}")
            if one.detail:
                print(f"  {'':<12} {one.detail}")
    where = (
        f"; all of them: {out}/parity.html, and of the run: hmm why ORDER --run {out}" if out else ", more with --out"
    )
    print(f"\nlook at one: hmm why ORDER{where}")


def _named(match: Match) -> str:
    order = match.order
    ids = [f"{side} {one.order_id}" for side, one in (("live", match.live), ("run", match.run)) if one is not None]
    return f"{order.strategy} {order.side.value} {order.instrument}: {', '.join(ids)}"


def json_of(told: Told) -> Json:
    """Give all of it as JSON."""
    parity = told.parity
    return {
        "source": told.source,
        "from": told.first,
        "to": told.last,
        "notes": list(told.notes),
        "audit": {"outputs": told.audited, "diverging": told.diverging},
        "decisions": {"both": parity.both, "only_live": parity.only_live, "only_run": parity.only_run},
        "pnl": {"live": parity.live_pnl, "run": parity.run_pnl, "difference": parity.live_pnl - parity.run_pnl},
        "later_ms": parity.later_ms and asdict(parity.later_ms),
        "later_quotes": parity.later_quotes and asdict(parity.later_quotes),
        "slippage_bps": parity.slippage_bps and asdict(parity.slippage_bps),
        "causes": {cause.value: asdict(counted) for cause, counted in parity.causes.items()},
        "books": [asdict(held) for held in parity.books],
        "differing": [_match(match) for match in parity.differing],
    }


def _match(match: Match) -> Json:
    return {
        "decided_at": match.decided_at,
        "live": match.live and _order(match.live),
        "run": match.run and _order(match.run),
        "differences": [
            {**asdict(one), "aspect": one.aspect.value, "cause": one.cause.value} for one in match.differences
        ],
    }


def _order(order: Order) -> Json:
    return {
        "client_order_id": order.order_id,
        "strategy": order.strategy,
        "instrument": order.instrument,
        "side": order.side.value,
        "quantity": f"{order.quantity:f}",
        "decided_at": order.decided_at,
        "decided_on": order.trigger.words,
        "refused": order.refused,
        "ended": order.ended,
        "filled": order.filled,
        "average": order.average,
        "fees": order.fees,
        "fills": [
            {"position": fill.position, "at": fill.at, "price": fill.price, "quantity": fill.quantity, "fee": fill.fee}
            for fill in order.fills
        ],
    }
