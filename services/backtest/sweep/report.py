"""The page of a sweep: what was tried, what came of it, and how much of the best of it is luck."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from quant.performance import underwater
from services.backtest import page
from services.backtest.page import (
    NONE,
    Part,
    change,
    code,
    coloured,
    folded,
    gain,
    image,
    lasting,
    moment,
    note,
    number,
    percent,
    ratio,
    section,
    table,
    text,
    tile,
)
from services.backtest.sweep import pictures
from services.backtest.sweep.folds import Folds
from services.backtest.sweep.luck import Luck, Verdict
from services.backtest.sweep.objective import Objective, wealth
from services.backtest.sweep.space import Space
from services.backtest.sweep.trials import Fate, Trial, best_of

REPORT = "sweep.html"
MOST_ROWS = 100
_STYLE = Path(page.__file__).with_name("report.css")
_TITLES = {
    Verdict.NOTHING: "nothing to judge",
    Verdict.LUCK: "may be luck",
    Verdict.SKILL: "not explained by luck",
}


@dataclass(frozen=True)
class Told:
    """All that the page tells."""

    trials: Sequence[Trial]
    space: Space
    folds: Folds
    objective: Objective
    importance: Mapping[str, float]
    luck: Luck
    words: Sequence[str]
    subject: str
    command: str
    """That runs the best trial."""
    identity: str


def write_report(told: Told, out: Path) -> Path:
    """Write `sweep.html` and its pictures; the same trials give the same bytes."""
    drawn = dict(_pictures(told))
    for name, (png, _) in drawn.items():
        (out / f"{name}.png").write_bytes(png)
    path = out / REPORT
    path.write_text(_page(told, drawn), encoding="utf-8")
    return path


def _pictures(told: Told) -> Iterator[tuple[str, tuple[bytes, str]]]:
    valued = [trial for trial in told.trials if trial.value is not None]
    complete = [trial for trial in told.trials if trial.fate is Fate.COMPLETE]
    if valued:
        png = pictures.over_trials(told.trials, told.objective)
        yield "objective", (png, "The objective of each trial in the order in which they were begun.")
        png = pictures.slices(told.trials, told.space, told.importance, told.objective)
        yield "settings", (png, "The objective over each setting; the circle is the best trial.")
    if complete:
        yield "curves", (pictures.curves(told.trials, told.luck), "Gain in the stretches that count.")
    if len(complete) > 1:
        png = pictures.inside_outside(told.trials, told.objective, told.luck.scale)
        yield "halves", (png, "What trials were worth in the second half of the time, over the first half.")
    if told.luck.overfit is not None:
        yield "overfitting", (pictures.logits(told.luck), "What became of the best in sample, out of sample (CSCV).")


def _page(told: Told, drawn: Mapping[str, tuple[bytes, str]]) -> str:
    def shown(*names: str) -> str:
        return "".join(image(*drawn[name]) for name in names if name in drawn)

    best = best_of(told.trials)
    parts = [
        Part("luck", "Is it luck", _luck(told) + shown("curves", "overfitting", "halves") + _choices(told.luck)),
        Part("best", "The best trial", _best(told, best) if best else ""),
        Part("settings", "What it depends on", shown("objective", "settings")),
        Part("trials", "Trials", _trials(told)),
        Part("refused", "Settings that cannot be, and trials that failed", _refused(told.trials)),
        Part("time", "How the time was cut", _folds(told.folds)),
        Part("manifest", "Manifest", note("What this sweep was made of.") + folded("all of it", told.identity)),
    ]
    links = "\n".join(f'<a href="#{part.anchor}">{escape(part.title)}</a>' for part in parts if part.body)
    said = "".join(f'<p class="remark">{escape(one)}</p>\n' for one in told.words)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Sweep report</title>\n<style>\n{_STYLE.read_text(encoding='utf-8')}</style></head>\n<body><main>\n"
        f'<header><h1>Sweep</h1>\n<p class="lead">{escape(told.subject)}</p>\n<nav>{links}</nav>\n{said}</header>\n'
        f"{_tiles(told, best)}{''.join(map(section, parts))}</main></body></html>\n"
    )


def _tiles(told: Told, best: Trial | None) -> str:
    luck, fates = told.luck, Counter(trial.fate for trial in told.trials)
    others = ", ".join(f"{count} {fate.value}" for fate, count in fates.items() if fate is not Fate.COMPLETE)
    drawdown = None if best is None else max(underwater(wealth(best.returns)))
    overfit = luck.overfit
    tiles = [
        tile("verdict", _TITLES[luck.verdict]),
        tile(f"best {told.objective.value}", ratio(None if best is None else best.value), _number(best)),
        tile("its return", change(None if best is None else best.total_return), "in the stretches that count"),
        tile("its max drawdown", percent(drawdown), "between returns"),
        tile("deflated Sharpe", percent(luck.deflated), "probability that it is not luck"),
        tile("overfitting (PBO)", percent(overfit.probability if overfit else None), "0 % is good, 50 % is lots drawn"),
        tile("chosen anew", change(luck.chosen_return), f"in {len(luck.choices)} folds"),
        tile("trials", f"{len(told.trials):,}", others or "all complete"),
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>\n'


def _number(best: Trial | None) -> str:
    return "" if best is None else f"trial {best.number}"


def _luck(told: Told) -> str:
    luck = told.luck
    overfit = luck.overfit
    year = luck.of_year
    unit = "of a year" if luck.scale > 1 else "per return: less than a day counts"
    rows = [
        ("different settings that were played", f"{luck.tried:,}", "given up ones among them"),
        ("independent trials that these are worth", f"{luck.effective:.1f}", "rho + (1 - rho) x trials"),
        ("returns", f"{luck.observations:,}", f"one each {lasting(told.folds.step)}"),
        ("Sharpe ratio of the best", ratio(year(luck.ratio)), unit),
        ("deviation of the trials' ratios", ratio(year(luck.variance**0.5)), unit),
        ("best ratio to be expected without skill", ratio(year(luck.lucky)), "of so many independent trials"),
        ("probability of skill, had it been the only trial", percent(luck.plain), "probabilistic Sharpe ratio"),
        ("deflated Sharpe ratio", percent(luck.deflated), "of the independent trials; 95 % is asked for"),
        ("deflated by every trial", percent(luck.deflated_all), "if all were independent"),
        ("probability of overfitting", percent(overfit.probability if overfit else None), "CSCV, 12 blocks"),
        ("ratio out of sample on that in sample", ratio(overfit.slope if overfit else None), "slope; negative is bad"),
        ("lost money out of sample", percent(overfit.loss if overfit else None), "of all ways to halve the time"),
    ]
    told_rows = [(escape(name), value, f'<span class="quiet">{escape(words)}</span>') for name, value, words in rows]
    given_up = sum(trial.fate is Fate.PRUNED for trial in told.trials)
    partial = f" {given_up} trials were given up early: they count as trials, and are not in the cross-validation."
    return table((text("figure"), number("value"), text("")), told_rows) + (note(partial.strip()) if given_up else "")


def _choices(luck: Luck) -> str:
    if not luck.choices:
        return ""
    rows = [(f"{one.fold + 1}", f"{one.trial}", ratio(one.inside), ratio(one.outside)) for one in luck.choices]
    rows.append(("mean", "", ratio(luck.inside), ratio(luck.outside)))
    columns = (text("fold"), number("chosen before it"), number("objective before"), number("objective in it"))
    return "<h3>Chosen anew before every fold</h3>\n" + table(columns, rows)


def _best(told: Told, best: Trial) -> str:
    rows = [(code(change.partition("=")[0]), code(change.partition("=")[2])) for change in best.changes]
    columns = (text("fold"), text("from"), number("net"), number("return"), number("fees"), number("trades"))
    stretches = [
        (
            f"{place + 1}",
            moment(fold.begins_at),
            gain(stretch.net),
            change(wealth(stretch.returns)[-1] - 1),
            f"{stretch.fees:,.2f}",
            f"{stretch.trades:,}",
        )
        for place, (fold, stretch) in enumerate(zip(told.folds.folds, best.stretches, strict=True))
    ]
    settings = table((text("setting"), text("value")), rows)
    return settings + table(columns, stretches) + f"<p>Run it:</p>\n<pre>{escape(told.command)}</pre>\n"


def _trials(told: Told) -> str:
    ranked = sorted(
        (trial for trial in told.trials if trial.is_own),
        key=lambda trial: (trial.fate is not Fate.COMPLETE, -(trial.value or 0.0), trial.number),
    )
    places = [dimension.place for dimension in told.space.dimensions]
    columns = (
        *(number("trial"), text("fate"), number(told.objective.value)),
        *(number(place) for place in places),
        *(number("return"), number("drawdown"), number("net"), number("fees"), number("trades")),
    )
    rows = []
    for trial in ranked[:MOST_ROWS]:
        set_to = dict(one.split("=", 1) for one in trial.changes)
        row = [f"{trial.number}", escape(trial.fate.value), coloured(ratio(trial.value), trial.value)]
        row += [escape(set_to[place]) for place in places]
        row += [change(trial.total_return), percent(max(underwater(wealth(trial.returns)))), gain(trial.net)]
        rows.append([*row, f"{trial.fees:,.2f}", f"{trial.trades:,}"])
    more = len(ranked) - MOST_ROWS
    return table(columns, rows, "trials") + (note(f"{more} more are in trials.csv.") if more > 0 else "")


def _refused(trials: Sequence[Trial]) -> str:
    why = Counter((trial.fate.value, trial.why) for trial in trials if trial.fate in (Fate.REFUSED, Fate.FAILED))
    if not why:
        return ""
    rows = [(escape(fate), f"{count}", escape(words) or NONE) for (fate, words), count in why.most_common(MOST_ROWS)]
    return table((text("fate"), number("trials"), text("why")), rows)


def _folds(folds: Folds) -> str:
    rows = [
        (f"{place}", moment(fold.begins_at), moment(fold.ends_at), lasting(fold.ends_at - fold.begins_at))
        for place, fold in enumerate(folds.folds, start=1)
    ]
    words = "One run goes through all folds in order; what is before the first, and between them, does not count."
    return note(words) + table((text("fold"), text("from"), text("to"), number("length")), rows)
