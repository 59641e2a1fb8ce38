"""How good the regime models are: against the truth of the simulated market, and against others on real markets.

Simulated: its regimes are known. A model that was trained without them names the regime of each bar online; each of its
states stands for the regime it mostly was in the fitted part. Beside it the filter that knows the truth: emissions and
transitions counted from the labelled bars. Accuracies are of the hold-out.

Real: one-step-ahead log-likelihood of the log return of a window (nats), walking forward: each model is fitted to what
was before a fold and predicts the fold. All densities are of the same quantity in the same unit: of our model of two
features, the marginal density of the return.

Run it with `python -m tests.bench.bench_regimes [simulated] [real]`.
"""

import sys
import warnings
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from contracts.market import Bar, Trade
from contracts.models import Feature, HiddenMarkovModel, HiddenState, RegimeModel
from contracts.types import Interval
from quant.training import RegimeTraining, Trained, Training, train_regime
from quant.training.filtering import run
from quant.training.fitting import gaussian_of
from quant.training.regimes import played
from quant.training.samples import Array, Sample, observed, scaler_of
from services.bars.rules import Bars
from services.bars.settings import BarsSettings
from tests.bench.shared_bars import SHARED, shared_bars
from tests.builders import BTC, LISTING
from venues.market import Regime, SimulatedSymbol

HOURS = 24
QUOTES_PER_S = 20.0
START = 1_700_000_000 * 1_000_000_000
SIMULATED = RegimeTraining(
    window=1, lookback=12, features=(Feature.VOLATILITY,), mixtures=(1,), states=(2, 3, 4), slow_every=0
)
MOST_POINTS = 3.0

FILES = (
    ("BTC-PERP-1m-202201.csv.gz", Interval.M1, 5),
    *((f"{coin}BTC-5m-201801.csv.gz", Interval.M5, 1) for coin in ("ADA", "ETH", "LTC", "TRX", "XLM")),
)
FOLDS = (0.5, 0.75, 1.0)
RISK_METRICS = 0.94
LAMBDAS = (0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98, 0.99)
LOG_2PI = float(np.log(2 * np.pi))


def simulated_bars(hours: float, seed: str = "1/regimes") -> tuple[list[Bar], list[Regime]]:
    """Bars of 5 s of a simulated market's trades, and the regime that each of them mostly was in."""
    symbol = SimulatedSymbol(LISTING[BTC], seed, 60_000.0)
    component = Bars(BarsSettings(intervals=(Interval.S5,)))
    bars: list[Bar] = []
    truth: list[Regime] = []
    lived: Counter[Regime] = Counter()
    step = int(1_000_000_000 / QUOTES_PER_S)
    for number in range(int(hours * 3600 * QUOTES_PER_S)):
        for shown in symbol.step(START + number * step, 1 / QUOTES_PER_S):
            for bar in (component.on_trade(shown) or ()) if isinstance(shown, Trade) else ():
                bars.append(bar)
                truth.append(lived.most_common(1)[0][0] if lived else truth[-1])
                lived.clear()
        lived[symbol.regime] += 1
    return bars, truth


def bench_simulated() -> None:
    bars, truth = simulated_bars(HOURS)
    result = train_regime(Training(bars[0].instrument, bars, (), SIMULATED, None, 1, "bench"))
    assert isinstance(result, Trained) and result.artifact.regime is not None, result
    model = result.artifact.regime
    seen, inferred, _ = played(model, bars)
    by_close = {bar.ts_close: regime for bar, regime in zip(bars, truth, strict=True)}
    regimes = list(Regime)
    true = np.array([regimes.index(by_close[int(at)]) for at in seen.closed_at])
    cut = int(len(seen) * (1 - SIMULATED.hold_out))
    ours = inferred.probabilities.argmax(axis=1)
    means = {state: int(np.bincount(true[:cut][ours[:cut] == state]).argmax()) for state in np.unique(ours[:cut])}
    named = np.array([means.get(state, 0) for state in ours])
    knowing = run_knowing(seen, true, cut, len(regimes)).argmax(axis=1)
    mine, best = float((named == true)[cut:].mean()), float((knowing == true)[cut:].mean())
    print(f"simulated market, {HOURS} h, {len(seen):,} bars of 5 s")
    print(f"  states: {dict(zip(model.fast.labels, (regimes[k].value for k in means.values()), strict=False))}")
    print(
        f"  accuracy online: ours {mine:.1%}, knowing the truth {best:.1%}, gap {100 * (best - mine):+.1f} points "
        f"(at most {MOST_POINTS:g} is wanted); calibration error {result.score.calibration_error:.3f}"
    )


def run_knowing(seen: Sample, true: np.ndarray, cut: int, count: int) -> Array:
    """Filter by a Gaussian per true regime and the transitions between them, both from the labelled first part."""
    scaler = scaler_of(seen.values[:cut], SIMULATED.spec(Interval.S5))
    scaled = seen.scaled(scaler)
    counts = np.full((count, count), 0.001)
    np.add.at(counts, (true[: cut - 1], true[1:cut]), 1.0)
    rows = counts / counts.sum(axis=1, keepdims=True)
    states = tuple(
        HiddenState(label=f"s{k}", occupancy=0.0, mixture=(gaussian_of(scaled.values[:cut][true[:cut] == k], 1.0),))
        for k in range(count)
    )
    model = HiddenMarkovModel(states=states, initial=(1 / count,) * count, transitions=tuple(map(tuple, rows.tolist())))
    return run(model, scaled).probabilities


def bench_real() -> None:
    rivals: dict[str, Callable[[Array, int], Array]] = {
        "single Gaussian": single,
        "EWMA 0.94": lambda returns, begin: ewma(returns, begin, RISK_METRICS),
        "EWMA, best": best_ewma,
        "MarkovRegression, 2": lambda returns, begin: markov(returns, begin, 2),
        "MarkovRegression, 3": lambda returns, begin: markov(returns, begin, 3),
    }
    mine = {
        "ours, return": (Feature.LOG_RETURN,),
        "ours, return + volatility": (Feature.LOG_RETURN, Feature.VOLATILITY),
    }
    print("| market | predicted | " + " | ".join([*rivals, *mine]) + " |")
    print("|---|---|" + "---|" * (len(rivals) + len(mine)))
    for name, interval, window in FILES:
        if not (SHARED / name).exists():
            print(f"| {name} | skipped: the file is not there |")
            continue
        bars = shared_bars(name, interval)
        scores = {label: walked_ours(bars, window, features) for label, features in mine.items()}
        times = set.intersection(*(set(found) for found in scores.values()))
        returns, closed = returns_of(bars, window)
        columns = [walked(returns, closed, predict, times) for predict in rivals.values()]
        columns.extend(float(np.mean([found[at] for at in times])) for found in scores.values())
        print(
            f"| {name.split('.')[0]} | {len(times):,} | " + " | ".join(f"{x:.4f}" for x in columns) + " |", flush=True
        )


def returns_of(bars: list[Bar], window: int) -> tuple[Array, np.ndarray]:
    settings = RegimeTraining(window=window, features=(Feature.LOG_RETURN,))
    seen = observed(bars, settings.spec(bars[0].interval))
    return seen.values[:, 0], seen.closed_at


def edges_of(count: int) -> list[tuple[int, int]]:
    return list(pairwise(int(count * part) for part in FOLDS))


def walked(returns: Array, closed: np.ndarray, predict: Callable[[Array, int], Array], times: set[int]) -> float:
    """Mean log-likelihood at `times`; `predict` is fitted to what was before `begin`, and gives all from there on."""
    found: list[float] = []
    for begin, end in edges_of(len(returns)):
        ahead = predict(returns[:end], begin)
        found.extend(x for x, at in zip(ahead, closed[begin:end], strict=True) if int(at) in times)
    return float(np.mean(found))


def walked_ours(bars: list[Bar], window: int, features: tuple[Feature, ...]) -> dict[int, float]:
    settings = RegimeTraining(
        window=window, features=features, hold_out=0.05, restarts=2, least_occupancy=0.02, least_dwell=2.0
    )
    _, closed = returns_of(bars, window)
    found: dict[int, float] = {}
    for begin, end in edges_of(len(closed)):
        known = [bar for bar in bars if bar.ts_close <= closed[begin - 1]]
        result = train_regime(Training(bars[0].instrument, known, (), settings, None, 1, "bench"))
        assert isinstance(result, Trained) and result.artifact.regime is not None, result
        ahead = return_density(result.artifact.regime, [bar for bar in bars if bar.ts_close <= closed[end - 1]])
        found |= {at: x for at, x in ahead.items() if at >= closed[begin]}
    return found


def return_density(model: RegimeModel, bars: list[Bar]) -> dict[int, float]:
    """ln p(log return | all before) by the time its window closes; other features are integrated out."""
    seen, inferred, transitions = played(model, bars)
    priors = np.einsum("ti,tij->tj", inferred.probabilities[:-1], transitions[1:])
    scale = model.scaler[0]
    z = (seen.values[1:, 0] - scale.center) / scale.spread
    density = np.zeros(len(z))
    for k, state in enumerate(model.fast.states):
        for part in state.mixture:
            variance = part.covariance[0][0]
            log_p = -0.5 * ((z - part.mean[0]) ** 2 / variance + np.log(variance) + LOG_2PI)
            density += priors[:, k] * part.weight * np.exp(log_p)
    found = np.log(np.maximum(density, 1e-300)) - np.log(scale.spread)
    return dict(zip(seen.closed_at[1:].tolist(), found.tolist(), strict=True))


def normal(values: Array, mean: float, variance: Array | float) -> Array:
    density: Array = -0.5 * ((values - mean) ** 2 / variance + np.log(variance) + LOG_2PI)
    return density


def single(returns: Array, begin: int) -> Array:
    before = returns[:begin]
    return normal(returns[begin:], float(before.mean()), float(before.var()))


def ewma(returns: Array, begin: int, keep: float) -> Array:
    return _ewma_all(returns, keep)[begin:]


def _ewma_all(returns: Array, keep: float) -> Array:
    """The variance of the next return is keep x the last one's + (1 - keep) x its square (RiskMetrics, 1996)."""
    variances = np.empty(len(returns))
    variances[0] = variance = float(np.mean(returns[:50] ** 2))
    for t in range(1, len(returns)):
        variance = keep * variance + (1 - keep) * float(returns[t - 1]) ** 2
        variances[t] = max(variance, 1e-14)
    return normal(returns, 0.0, variances)


def best_ewma(returns: Array, begin: int) -> Array:
    best = max(LAMBDAS, key=lambda keep: float(_ewma_all(returns[:begin], keep)[50:].mean()))
    return ewma(returns, begin, best)


def markov(returns: Array, begin: int, regimes: int) -> Array:
    """Hamilton's filter with switching mean and variance, by statsmodels; NaN where it does not fit."""
    from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression  # noqa: PLC0415 # takes seconds

    unit = float(returns[:begin].std())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fitted = MarkovRegression(returns[:begin] / unit, regimes, switching_variance=True).fit(disp=False)
            ahead = MarkovRegression(returns / unit, regimes, switching_variance=True).filter(fitted.params)
        except (ValueError, np.linalg.LinAlgError):
            return np.full(len(returns) - begin, np.nan)
    result: Array = np.asarray(ahead.llf_obs)[begin:] - np.log(unit)
    return result


def main(parts: list[str]) -> None:
    if not parts or "simulated" in parts:
        bench_simulated()
    if not parts or "real" in parts:
        bench_real()


if __name__ == "__main__":
    main(sys.argv[1:])
