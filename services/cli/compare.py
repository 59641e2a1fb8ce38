"""`hmm compare`: what differs between two backtests, and whether the difference in what they brought is noise."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from quant.performance import DAY, YEAR
from services.backtest import comparisonlogs as logs
from services.backtest.comparison import Difference, Left, Row, Unit, differences, look_at, noise, rows
from services.backtest.comparisonpage import Compared, write_page
from services.backtest.log import BadLog, Line
from services.backtest.settings import Unusable
from services.cli.errors import fail, misused
from services.cli.output import number, table

DOCUMENT = "compare.json"
_SHOWN = 12


def compare(first: Path, second: Path, out: Path | None, *, as_json: bool) -> None:
    """Compare two directories of backtests, and say what differs."""
    try:
        if out is not None:
            _require_own(out)
        compared = _compared(look_at(first), look_at(second))
    except Unusable as refusal:
        misused(str(refusal), refusal.remedy)
    except BadLog as bad:
        fail(str(bad), "run the backtest again")
    document = _document(compared)
    page = None
    if out is not None:
        page = write_page(compared, out)
        (out / DOCUMENT).write_text(json.dumps(document, indent=2) + "\n")
    if as_json:
        print(json.dumps(document, indent=2))
        return
    _show(compared)
    if page is not None:
        print(f"report: {page}")


def _require_own(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise Unusable(f"--out {out}: is no directory")
    if out.is_dir() and any(out.iterdir()) and not (out / DOCUMENT).exists():
        raise Unusable(f"--out {out}: holds files that are no comparison", "name a directory that does not exist yet")


def _compared(first: Left, second: Left) -> Compared:
    beside, parted, interval = None, None, {}
    same = first.log is not None and first.result["log_sha256"] == second.result.get("log_sha256")
    if first.log is not None and second.log is not None:
        folds = logs.shared(first.span, second.span)
        beside = logs.beside(first.log, second.log, folds)
        parted = None if same else logs.parting(first.log, second.log)
        if beside.first is not None and beside.second is not None and folds is not None and not same:
            span = folds.folds[0].ends_at - folds.folds[0].begins_at
            per_year = YEAR / folds.step if span >= DAY else 1.0
            interval = noise(beside.first.returns, beside.second.returns, per_year)
    told = rows(first, second, interval)
    apart = differences(first, second)
    said = tuple(_words(first, second, told, beside, same=same))
    return Compared(first, second, apart, told, beside, parted, said)


def _words(first: Left, second: Left, told: Sequence[Row], beside: logs.Beside | None, *, same: bool) -> Iterator[str]:
    """Say plainly what was found."""
    if same:
        yield "The logs are the same, byte for byte."
        return
    missing = [left.path for left in (first, second) if left.log is None]
    if missing:
        names = " and ".join(str(path) for path in missing)
        yield f"{names} left no log: orders and noise cannot be told. Run it without --no-log."
        return
    if beside is None or beside.first is None or beside.second is None:
        yield "The runs share no time: their figures are of different pasts."
        return
    if first.span != second.span:
        yield "The runs are of different times: noise is told of what they share."
    earned = next(row for row in told if row.name == "return")
    if earned.difference is None or earned.is_beyond_noise is None:
        yield "One of them traded nothing: there is no difference of returns to judge."
    elif earned.is_beyond_noise:
        better = "second" if earned.difference > 0 else "first"
        yield f"The {better} run earned more, by more than noise explains."
    else:
        yield "The difference in what they earned is within noise: another past like this one could turn it around."


# -- telling -----------------------------------------------------------------------------------------------------------


def _show(compared: Compared) -> None:
    for said in compared.words:
        print(said)
    _show_differences(compared.differences)
    _show_rows(compared.rows)
    if compared.beside is not None:
        orders = compared.beside.orders
        print(
            f"orders: both have {number(orders.both)}, only the first {number(orders.only_first)}, "
            f"only the second {number(orders.only_second)}"
        )
        for name, some in (("first", orders.first), ("second", orders.second)):
            for order in some[:3]:
                print(
                    f"  only the {name}: {_moment(order.at)} {order.strategy} {order.side} {order.quantity} "
                    f"{order.instrument} ({order.order_id})"
                )
    if compared.parting is not None:
        print("the logs part here:")
        for name, line in (("first", compared.parting.first), ("second", compared.parting.second)):
            print(f"  {name:<6} {_line(line)}")


def _line(line: Line | None) -> str:
    if line is None:
        return "is over"
    return f"position {line.position:,}: {line.header} {line.payload.decode()[:300]}"


def _show_differences(some: Sequence[Difference]) -> None:
    if not some:
        print("made of the same data, settings and code")
        return
    cells = [[one.kind.value, one.place, _short(one.first), _short(one.second)] for one in some[:_SHOWN]]
    table("", ("what differs", "", "first", "second"), cells)
    if len(some) > _SHOWN:
        print(f"and {len(some) - _SHOWN} more: see --out or --json")


def _short(value: object) -> str:
    told = "-" if value is None else str(value)
    return told if len(told) <= 48 else f"{told[:45]}..."


def _show_rows(some: Sequence[Row]) -> None:
    cells = []
    for row in some:
        if row.first is None and row.second is None:
            continue
        where = "" if row.noise is None else f"{_plain(row.unit, row.noise.low)} to {_plain(row.unit, row.noise.high)}"
        judged = {None: "", True: "beyond noise", False: "within noise"}[row.is_beyond_noise]
        values = [_plain(row.unit, one) for one in (row.first, row.second, row.difference)]
        cells.append([row.name, *values, where, judged])
    right = frozenset({"first", "second", "difference", "noise"})
    table("", ("figure", "first", "second", "difference", "noise", ""), cells, right)


def _plain(unit: Unit, value: float | None) -> str:
    if value is None:
        return "-"
    match unit:
        case Unit.MONEY:
            return f"{value:,.2f}"
        case Unit.SHARE:
            return f"{value:.4%}"
        case Unit.RATIO:
            return f"{value:,.3f}"
        case Unit.COUNT:
            return f"{value:,.0f}"


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at // 10**9, UTC):%Y-%m-%d %H:%M:%S}"


def _document(compared: Compared) -> dict[str, object]:
    beside, parted = compared.beside, compared.parting
    return {
        "words": list(compared.words),
        "differences": [{**asdict(one), "kind": one.kind.value} for one in compared.differences],
        "figures": [
            {
                "name": row.name,
                "unit": row.unit.value,
                "first": row.first,
                "second": row.second,
                "difference": row.difference,
                "noise": None if row.noise is None else [row.noise.low, row.noise.high],
                "beyond_noise": row.is_beyond_noise,
            }
            for row in compared.rows
        ],
        "orders": None if beside is None else asdict(beside.orders),
        "parting": None
        if parted is None
        else {"first": _line_document(parted.first), "second": _line_document(parted.second)},
    }


def _line_document(line: Line | None) -> dict[str, object] | None:
    if line is None:
        return None
    event = json.loads(line.payload)
    return {"position": line.position, "cause": line.cause, "id": line.msg_id, "type": line.header, "event": event}
