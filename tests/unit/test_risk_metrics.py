"""What risk shows of its verdicts."""

from typing import Any

from prometheus_client import REGISTRY

from contracts.orders import RiskLocked
from contracts.types import Rail, Side, TradingState
from services.risk.blueprint import BLUEPRINT
from tests.builders import amendment, terms, trading
from tests.risk_builders import amend, bracket, closed, played, wish


def shown(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_verdicts_failed_checks_and_pauses_are_counted() -> None:
    halted = trading(TradingState.HALTED)
    events = (closed("1"), amend(amendment(terms(), quantity="2")), bracket("2"), halted, wish("x", Side.BUY, "2"))
    settings: dict[str, Any] = {"resize": True, "max_order_notional": 150, "cooldown": {"pause_s": 0.5}}
    said = played(closed("1"), wish("a", quantity="2", at=1), *events, **settings).recorded
    before = {rail: shown("risk_denials_total", rail=rail.value) for rail in Rail}
    verdicts = {name: shown("risk_verdicts_total", verdict=name) for name in ("resized", "rejected", "amend_rejected")}
    locks = shown("risk_locks_total", rail="cooldown")
    observers = BLUEPRINT.observe()
    for recorded in said:
        observers[type(recorded.event)](recorded.event, None)
    counted = {rail: shown("risk_denials_total", rail=rail.value) - before[rail] for rail in Rail}
    assert counted[Rail.MAX_NOTIONAL] == 3
    assert counted[Rail.COOLDOWN] == 2
    assert counted[Rail.TRADING_STATE] == counted[Rail.ORDER_TERMS] == 1
    assert shown("risk_verdicts_total", verdict="resized") - verdicts["resized"] == 1
    assert shown("risk_verdicts_total", verdict="rejected") - verdicts["rejected"] == 2
    assert shown("risk_verdicts_total", verdict="amend_rejected") - verdicts["amend_rejected"] == 1
    assert shown("risk_locks_total", rail="cooldown") - locks == len([r for r in said if type(r.event) is RiskLocked])
