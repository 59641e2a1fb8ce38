"""What can come of a request to a venue, in the one respect that matters: whether it was done."""

import re
from collections.abc import Mapping

_CODE = re.compile(r'"code"\s*:\s*"?(-?[0-9]+)')

MAY_HAVE_BEEN_DONE = frozenset({-1000, -1001, -1006, -1007, -1008})
"""Codes of Binance that say nothing about whether the order was taken: unknown error, disconnected, unexpected
response, timeout, overloaded."""
DUPLICATE = frozenset({-4116, -4115})
WRONG_TIME = -1021


class VenueFailure(Exception):
    """A request that did not bring what was asked for."""


class Refused(VenueFailure):
    """It was not done, and will not be: the venue said why."""


class NotFound(VenueFailure):
    """The venue knows no such order."""


class Duplicate(VenueFailure):
    """The venue has an order of that name already: an earlier request was done."""


class NotNow(VenueFailure):
    """It was not done: too many requests, or a clock that is off. It may be asked again after `after_s`."""

    def __init__(self, reason: str, after_s: float) -> None:
        super().__init__(reason)
        self.after_s = after_s


class Unheard(VenueFailure):
    """Nobody knows whether it was done: no answer came, or one that does not say."""


def failure_of(error: Exception, headers: Mapping[str, str], asked_to_wait_s: float) -> VenueFailure:
    """Say what an exception of ccxt means. `headers` are those of the last answer; `asked_to_wait_s` if they say none.

    What is not known to be a refusal counts as unheard: that is looked up, while a refusal is believed.
    """
    text = str(error)[:1000] or type(error).__name__
    kinds = {kind.__name__ for kind in type(error).__mro__}
    code = int(found[1]) if (found := _CODE.search(text)) else None
    if kinds & {"DDoSProtection", "RateLimitExceeded"}:
        return NotNow(text, retry_after_s(headers, asked_to_wait_s))
    if code == WRONG_TIME or "InvalidNonce" in kinds:
        return NotNow(text, 0.0)
    if "OrderNotFound" in kinds:
        return NotFound(text)
    if "DuplicateOrderId" in kinds or code in DUPLICATE or "Duplicate order sent" in text:
        return Duplicate(text)
    return Refused(text) if _is_refusal(type(error).__name__, kinds, code) else Unheard(text)


def _is_refusal(name: str, kinds: set[str], code: int | None) -> bool:
    if "ExchangeError" not in kinds or code in MAY_HAVE_BEEN_DONE:
        return False
    return name != "ExchangeError" or code is not None


def retry_after_s(headers: Mapping[str, str], otherwise: float) -> float:
    """Read for how long the venue wants to hear nothing (seconds)."""
    said = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(said) if said.isdecimal() else otherwise
