"""What the script of faults does to a request, over HTTP and over the websocket API alike."""

from collections.abc import Callable, Mapping

from venues.emulator.faults import REQUEST_KINDS, Fault, FaultKind, Faults
from venues.emulator.limits import Limits
from venues.emulator.refusals import Refusal, banned, timeout, too_much_weight, unknown_state

STRIKING = REQUEST_KINDS | {FaultKind.EXPIRE_KEY, FaultKind.BREAK}
STATUS_TEXTS = {
    500: (-1000, "An unknown error occurred while processing the request."),
    502: (-1001, "Internal error; unable to process your request. Please try again."),
    504: (-1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
}


class Trouble:
    """Faults as they strike requests."""

    def __init__(self, faults: Faults, on_fault: Callable[[Fault], None]) -> None:
        self._faults = faults
        self._on_fault = on_fault

    def strike(self, site: str, now: int) -> dict[FaultKind, Fault]:
        """Give the faults of a request by kind; those that concern the exchange itself are done at once."""
        struck = {fault.kind: fault for fault in self._faults.strike(site, now, STRIKING)}
        for fault in struck.values():
            self._on_fault(fault)
        return struck

    def refuse_before(self, faults: Mapping[FaultKind, Fault], limits: Limits, now: int) -> None:
        """Raise what is answered instead of doing it."""
        fault = faults.get(FaultKind.REFUSE)
        if fault is None:
            return
        seconds = max(1, int(fault.seconds))
        if fault.status == 418:
            limits.ban(seconds, now)
            raise banned(limits.banned_until, seconds)
        if fault.status == 429:
            raise too_much_weight(limits.weight_limit, seconds)
        raise _failure(fault.status)

    def refuse_after(self, faults: Mapping[FaultKind, Fault]) -> None:
        """Raise what is answered although it was done."""
        fault = faults.get(FaultKind.DO_AND_REFUSE)
        if fault is not None:
            raise _failure(fault.status)


def _failure(status: int) -> Refusal:
    if status == 503:
        return unknown_state()
    if status == 408:
        return timeout()
    code, text = STATUS_TEXTS.get(status, STATUS_TEXTS[500])
    return Refusal(code, text, status=status)
