"""How long a training takes: a month of minutes, three starts of each fit, in CPU seconds of one core.

The whole training is timed (features, walk forward over 2-4 states x 1-2 Gaussians, final fit, pair, calibration,
scores), beside one bare fit of three starts. Needs the bars of `../shared/data/bars`.

Run it with `python -m tests.bench.bench_training`.
"""

from time import process_time

from contracts.types import Interval
from quant.training import DirectionKind, DirectionTraining, RegimeTraining, Trained, Training, train_direction
from quant.training import train_regime as train
from quant.training.fitting import Shape, effort_of, fits
from quant.training.samples import observed, scaler_of
from tests.bench.shared_bars import SHARED, shared_bars

FILE = "BTC-PERP-1m-202201.csv.gz"
MOST_S = 60.0


def main() -> None:
    if not (SHARED / FILE).exists():
        print(f"skipped: {SHARED / FILE} is not there")
        return
    bars = shared_bars(FILE, Interval.M1)
    instrument = bars[0].instrument
    for window in (5, 1):
        settings = RegimeTraining(window=window, restarts=3)
        raw = observed(bars, settings.spec(Interval.M1))
        seen = raw.scaled(scaler_of(raw.values, settings.spec(Interval.M1)))
        began = process_time()
        fits(seen, Shape(3, 1), effort_of(settings, seed=1))
        bare = process_time() - began
        began = process_time()
        result = train(Training(instrument, bars, (), settings, None, 1, "bench"))
        whole = process_time() - began
        outcome = (
            str(result.artifact.regime.fast.labels)
            if isinstance(result, Trained) and result.artifact.regime
            else result
        )
        print(
            f"{len(bars):,} bars in windows of {window}: one fit (3 states, 3 starts) {bare:.1f} s, "
            f"whole training {whole:.1f} s (at most {MOST_S:g} is wanted): {outcome}"
        )
    for kind in DirectionKind:
        began = process_time()
        train_direction(Training(instrument, bars, (), DirectionTraining(kind=kind), None, 1, "bench"))
        print(f"direction, {kind.value}: {process_time() - began:.1f} s")


if __name__ == "__main__":
    main()
