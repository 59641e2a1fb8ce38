"""The colours of pictures: a regime has one, in every picture."""

from collections.abc import Mapping, Sequence

from contracts.regimes import UNKNOWN

COLOURS: Mapping[str, str] = {
    "calm": "#2f9e8f",
    "mild": "#86b875",
    "normal": "#5b84c4",
    "lively": "#e8b83e",
    "rough": "#ee8a4a",
    "wild": "#d4405a",
    "up": "#3fa34d",
    "down": "#8b5fbf",
    "rest": "#7ca6c9",
    "move": "#c98a7c",
    UNKNOWN: "#8d939c",
}
"""Of the regimes that our models name."""
SPARE = ("#4c9bd6", "#c28e2c", "#a05195", "#5f7d3b", "#b5651d", "#3d6b8e")
"""For labels that nobody thought of, in the order they come."""
INK, QUIET, GRID = "#20242b", "#6d7480", "#e4e7ec"
GAIN, LOSS, ACCENT = "#1f8a5b", "#c8384f", "#2f5fb3"


def colours(labels: Sequence[str]) -> dict[str, str]:
    """Give each label its colour."""
    spare = iter(SPARE * (1 + len(labels) // len(SPARE)))
    return {label: COLOURS.get(label) or next(spare) for label in (*labels, UNKNOWN)}
