"""`hmm presets`: by which preset each strategy opens positions and why, and how to choose it oneself."""

import getpass
import json
from collections.abc import Sequence

from contracts.presets import PresetPinned
from services.cli.control import say
from services.cli.errors import fail
from services.cli.output import plain, table
from services.cli.store import Row, Store, open_store

_FACTORS = ("size", "stop", "target", "threshold", "cooldown")
_IN_FORCE = """
    SELECT DISTINCT ON (strategy, venue, symbol)
        strategy, venue || '.' || symbol AS instrument, regime, preset, pinned, settings, arms, position, time
    FROM presets WHERE step = 'selected' ORDER BY strategy, venue, symbol, position DESC
"""
_BELIEVED = """
    SELECT DISTINCT ON (strategy, regime) strategy, regime, preset, pinned, arms, position, time
    FROM presets WHERE step = 'selected' ORDER BY strategy, regime, position DESC
"""
_PINS = """
    SELECT DISTINCT ON (strategy) strategy, preset, operator, reason, position
    FROM presets WHERE step = 'pinned' ORDER BY strategy, position DESC
"""


def show_presets(*, as_json: bool) -> None:
    """Show what is in force where, and what is believed of each preset in each regime."""
    with open_store() as store:
        in_force, believed, pins = store.rows(_IN_FORCE), store.rows(_BELIEVED), store.rows(_PINS)
        notes = store.notes("presets")
    for row in in_force:
        row["why"] = _why(row, pins)
    if as_json:
        document = {"in_force": in_force, "believed": believed, "pins": pins, "notes": notes}
        print(json.dumps(document, default=plain, indent=2))
        return
    for note in notes:
        print(f"note: {note}")
    if not in_force:
        print("no preset was selected yet: that takes a regime that is inferred with confidence, or a closed position")
        return
    columns = ("strategy", "instrument", "regime", "preset", *_FACTORS, "position", "why")
    table("in force", columns, [_in_force(row) for row in in_force], right=frozenset((*_FACTORS, "position")))
    figures = ("trades", "mean", "deviation", "sampled", "position")
    lines = [line for row in believed for line in _believed(row, in_force)]
    title = "believed of each preset, in deviations of a trade's return, when one was last selected in that regime"
    table(title, ("strategy", "regime", "preset", *figures, "in force for"), lines, right=frozenset(figures))


def pin_preset(strategy: str, preset: str, reason: str) -> None:
    """Let a strategy open positions by this preset until it is unpinned; what is not known of it is refused."""
    with open_store() as store:
        note = _require(store, strategy, preset)
    position = _say(strategy, preset, reason)
    print(f"{strategy} opens positions by {preset} from position {position} on{note}; what comes of it: hmm presets")


def unpin_preset(strategy: str, reason: str) -> None:
    """Leave a strategy's preset to experience again."""
    with open_store() as store:
        _require(store, strategy, None)
    print(f"the preset of {strategy} is left to experience from position {_say(strategy, None, reason)} on")


def _require(store: Store, strategy: str, preset: str | None) -> str:
    """Refuse what there is not; where nothing was selected yet, say that params decides."""
    selected = store.rows(_IN_FORCE)
    if not selected:
        return " if params knows both (no preset was selected yet)"
    offered = {row["strategy"]: [arm["preset"] for arm in row["arms"]] for row in selected}
    if strategy not in offered:
        fail(f"no preset was ever selected for {strategy}", f"there are of {', '.join(offered)}")
    if preset is not None and preset not in offered[strategy]:
        fail(f"{strategy} has no preset {preset}", f"it has {', '.join(offered[strategy])}")
    return ""


def _say(strategy: str, preset: str | None, reason: str) -> int:
    operator = getpass.getuser()
    return say(
        lambda now: PresetPinned(
            ts_event=now, ts_init=now, strategy=strategy, preset=preset, operator=operator, reason=reason
        )
    )


def _why(row: Row, pins: Sequence[Row]) -> str:
    if row["pinned"]:
        pin = next((one for one in pins if (one["strategy"], one["preset"]) == (row["strategy"], row["preset"])), None)
        return "pinned" if pin is None else f"pinned by {pin['operator']}: {pin['reason'] or 'no reason given'}"
    drawn = {arm["preset"]: arm["sampled"] for arm in row["arms"]}
    own = drawn.pop(row["preset"])
    if not drawn:
        return "the only one"
    other = max(drawn, key=drawn.__getitem__)
    return f"drew {own:+.2f}, more than {other} with {drawn[other]:+.2f}"


def _in_force(row: Row) -> tuple[str, ...]:
    factors = (f"{row['settings'][name]:g}" for name in _FACTORS)
    of = (row["strategy"], row["instrument"], row["regime"], row["preset"])
    return (*of, *factors, str(row["position"]), row["why"])


def _believed(row: Row, in_force: Sequence[Row]) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = []
    for arm in row["arms"]:
        used = (row["strategy"], row["regime"], arm["preset"])
        where = [one["instrument"] for one in in_force if (one["strategy"], one["regime"], one["preset"]) == used]
        sampled = "-" if row["pinned"] else f"{arm['sampled']:+.2f}"
        figures = (f"{arm['trades']:.1f}", f"{arm['mean']:+.3f}", f"{arm['deviation']:.3f}", sampled)
        lines.append((*used, *figures, str(row["position"]), " ".join(where)))
    return lines
