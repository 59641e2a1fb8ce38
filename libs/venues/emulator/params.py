"""The parameters of one request, read and typed; what is missing or malformed is refused by name."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from venues.emulator.refusals import Refusal, mandatory, not_valid

CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
MOST_DIGITS = 30

S = TypeVar("S", bound=StrEnum)


class Params:
    """Parameters by name, as text. `now` is the exchange's time in ms."""

    def __init__(self, values: Mapping[str, str], now: int) -> None:
        self._values = values
        self.now = now

    def has(self, name: str) -> bool:
        return bool(self._values.get(name))

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if not value:
            raise mandatory(name)
        return value

    def maybe(self, name: str) -> str | None:
        return self._values.get(name) or None

    def decimal(self, name: str) -> Decimal:
        text = self.text(name)
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise _illegal(name) from None
        if not value.is_finite() or len(text) > MOST_DIGITS or value < 0:
            raise _illegal(name)
        return value

    def maybe_decimal(self, name: str) -> Decimal | None:
        return self.decimal(name) if self.has(name) else None

    def integer(self, name: str) -> int:
        text = self.text(name)
        if not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise _illegal(name)
        return int(text)

    def maybe_integer(self, name: str) -> int | None:
        return self.integer(name) if self.has(name) else None

    def limit(self, default: int, most: int) -> int:
        return max(1, min(self.integer("limit"), most)) if self.has("limit") else default

    def flag(self, name: str) -> bool:
        text = (self.maybe(name) or "false").lower()
        if text not in {"true", "false"}:
            raise not_valid(name)
        return text == "true"

    def word(self, name: str, words: type[S], refusal: Refusal, default: S | None = None) -> S:
        """Read one of the exchange's words."""
        text = self.maybe(name)
        if text is None:
            if default is None:
                raise mandatory(name)
            return default
        try:
            return words(text)
        except ValueError:
            raise refusal from None

    def client_id(self, name: str, fallback: str) -> str:
        """Read an id that the client gave; without one the exchange makes its own."""
        text = self.maybe(name) or fallback
        if not CLIENT_ID.fullmatch(text):
            raise Refusal(
                -1100, f"Illegal characters found in parameter '{name}'; legal range is '{CLIENT_ID.pattern}'."
            )
        return text

    def period(self) -> tuple[int | None, int | None]:
        """Read startTime and endTime in ms."""
        start, end = self.maybe_integer("startTime"), self.maybe_integer("endTime")
        if start is not None and end is not None and start > end:
            raise Refusal(-1023, "Start time is greater than end time.")
        return start, end


def _illegal(name: str) -> Refusal:
    return Refusal(
        -1100, f"Illegal characters found in parameter '{name}'; legal range is '^([0-9]{{1,20}})(\\.[0-9]{{1,20}})?$'."
    )
