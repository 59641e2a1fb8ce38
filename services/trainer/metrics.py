"""How trainings go, and how many models there are."""

from prometheus_client import Counter, Gauge, Histogram

TRAININGS = Counter("trainings_total", "Trainings that ended", ["family", "outcome"])
TRAINING_SECONDS = Histogram(
    "training_seconds", "Time from the start of a training to its end", ["family"], buckets=(1, 5, 15, 60, 300, 1_800)
)
MODELS = Gauge("models", "Models by their standing", ["standing"])
