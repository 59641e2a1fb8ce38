"""The gate of the exchange: limits, API key, timestamp and signature, before anything is done."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from venues.emulator.endpoints import Endpoint, Security
from venues.emulator.limits import Limits
from venues.emulator.params import Params
from venues.emulator.refusals import Refusal
from venues.emulator.settings import EmulatorSettings
from venues.emulator.words import Board

DEFAULT_WINDOW_MS = 5_000
WIDEST_WINDOW_MS = 60_000
AHEAD_MS = 1_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came: `payload` is what was signed."""

    values: Mapping[str, str]
    api_key: str | None
    payload: str

    @property
    def signature(self) -> str:
        return self.values.get("signature", "")


@dataclass(slots=True)
class Gate:
    """Lets requests of one account through."""

    settings: EmulatorSettings
    limits: dict[Board, Limits] = field(init=False)

    def __post_init__(self) -> None:
        self.limits = {board: Limits(self.settings, board) for board in Board}

    def answer(self, endpoint: Endpoint, asked: Asked, now: int) -> object:
        """Check a request and have it answered; raises a refusal."""
        params = Params(asked.values, now)
        limits = self.limits[endpoint.board]
        limits.request(endpoint.weighs(params), now)
        if endpoint.security is not Security.NONE:
            self._check_key(asked)
        if endpoint.security is Security.SIGNED:
            self._check_time(params)
            self._check_signature(asked)
        if endpoint.is_order:
            limits.order(now)
        return endpoint.handler(params)

    def check_signed(self, asked: Asked, now: int) -> None:
        """Check a signed request that no endpoint answers."""
        self._check_key(asked)
        self._check_time(Params(asked.values, now))
        self._check_signature(asked)

    def _check_key(self, asked: Asked) -> None:
        if not asked.api_key:
            raise Refusal(-2014, "API-key format invalid.", status=401)
        if not hmac.compare_digest(asked.api_key.encode(), self.settings.api_key.encode()):
            raise Refusal(-2015, "Invalid API-key, IP, or permissions for action.", status=401)

    def _check_time(self, params: Params) -> None:
        stamp = params.integer("timestamp")
        window = params.maybe_integer("recvWindow") or DEFAULT_WINDOW_MS
        if window > WIDEST_WINDOW_MS:
            raise Refusal(-1131, f"recvWindow must be less than {WIDEST_WINDOW_MS}")
        if stamp > params.now + AHEAD_MS:
            raise Refusal(-1021, f"Timestamp for this request was {AHEAD_MS}ms ahead of the server's time.")
        if params.now - stamp > window:
            raise Refusal(-1021, "Timestamp for this request is outside of the recvWindow.")

    def _check_signature(self, asked: Asked) -> None:
        expected = hmac.new(self.settings.secret.encode(), asked.payload.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), asked.signature.lower().encode()):
            raise Refusal(-1022, "Signature for this request is not valid.")
