"""The table of rails for people, made from the code: names, what each says, and the settings behind it."""

from collections.abc import Mapping

from contracts.types import Rail
from services.risk.rails import RAILS
from services.risk.settings import RiskSettings

SETTINGS: Mapping[Rail, tuple[str, ...]] = {
    Rail.DUPLICATE: ("duplicate_window_ms",),
    Rail.ALLOWLIST: ("allowlist",),
    Rail.STRATEGY_INSTRUMENTS: ("strategy_instruments",),
    Rail.VENUE_HEALTH: ("probe_strategy",),
    Rail.EXECUTION: ("execution_overrides",),
    Rail.ORDER_TERMS: ("order_types",),
    Rail.LOT_SIZE: ("snap",),
    Rail.PRICE_TICK: ("snap",),
    Rail.STALE_MARK: ("max_mark_age_ms",),
    Rail.SPREAD: ("max_spread_bps",),
    Rail.PRICE_COLLAR: ("collar_bps", "trigger_collar_bps"),
    Rail.OPEN_ORDERS: ("max_open_orders", "max_strategy_open_orders"),
    Rail.ORDER_RATE: ("order_rate_per_s", "order_burst"),
    Rail.MAX_NOTIONAL: ("max_order_notional",),
    Rail.SYMBOL_EXPOSURE: ("max_symbol_exposure",),
    Rail.VENUE_EXPOSURE: ("max_venue_exposure",),
    Rail.STRATEGY_EXPOSURE: ("max_strategy_exposure",),
    Rail.TOTAL_EXPOSURE: ("max_total_exposure",),
    Rail.CORRELATED_EXPOSURE: (
        "max_correlated_exposure",
        "correlation_every_s",
        "correlation_samples",
        "correlation_least",
    ),
    Rail.LEVERAGE: ("max_leverage", "starting_capital"),
    Rail.FREE_MARGIN: ("margin_reserve_pct", "perpetual_margin", "starting_capital"),
    Rail.CAPITAL: ("max_capital_use_pct", "starting_capital"),
    Rail.DAILY_LOSS: ("max_daily_loss_pct", "max_total_daily_loss_pct"),
    Rail.DRAWDOWN: ("max_drawdown_pct", "max_total_drawdown_pct", "drawdown_pause_s"),
    Rail.CONSECUTIVE_LOSSES: ("max_consecutive_losses", "losses_pause_s"),
    Rail.STOPLOSS_GUARD: ("stoploss_guard",),
    Rail.COOLDOWN: ("cooldown",),
    Rail.LOW_PROFIT: ("low_profit",),
    Rail.MAX_DRAWDOWN: ("max_drawdown",),
}
"""The settings of each rail that has some of its own."""

SAID_ELSEWHERE: Mapping[Rail, str] = {
    Rail.TRADING_STATE: "`TradingStateSet`, `GuardSet`",
    Rail.INSTRUMENT_STATUS: "`InstrumentStatus`",
    Rail.VENUE_HEALTH: "`VenueHealth`",
    Rail.EXECUTION: "`ExecutionOverride`",
    Rail.REDUCE_ONLY: "the order's `reduce_only`",
    Rail.MIN_NOTIONAL: "the instrument's `min_notional`",
    Rail.CAPITAL: "`CapitalAllocated`",
}
"""Where the limit of a rail comes from, if not from settings alone."""

BEGIN, END = "<!-- rails: made by services/risk/table.py -->", "<!-- end of rails -->"


def rails_table() -> str:
    """Write the rails as a table in Markdown."""
    lines = ["| rail | refuses when | limit (default) |", "|---|---|---|"]
    lines += [f"| `{rail.value}` | {_says(rail)} | {_limits(rail)} |" for rail in RAILS]
    return "\n".join(lines)


def documented(text: str) -> str:
    """Put the table of today into a document, between its markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{rails_table()}\n{END}{after}"


def _says(rail: Rail) -> str:
    said = RAILS[rail].__doc__
    assert said, f"{rail} does not say what it refuses"
    return " ".join(said.split())


def _limits(rail: Rail) -> str:
    elsewhere = [SAID_ELSEWHERE[rail]] if rail in SAID_ELSEWHERE else []
    return "; ".join([*elsewhere, *(f"`{name}` ({_default(name)})" for name in SETTINGS.get(rail, ()))])


def _default(name: str) -> str:
    value = getattr(RiskSettings(), name)
    if value is None:
        return "off"
    if value in ((), {}):
        return "all"
    return f"{value:g}" if isinstance(value, float) else str(value)
