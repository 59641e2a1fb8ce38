"""The tape in memory: the same components, one thread, no broker. It carries tests and backtests."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

from contracts.event import Event, maker
from contracts.recorded import Recorded
from tape.audience import Audience
from tape.component import Component, Handler, Moment
from tape.span import Span

E = TypeVar("E", bound=Event)
_recorded = maker(Recorded)
Route = tuple[tuple[Handler, str], ...]
FIRST_ALONE, MOST_ALONE = 4, 128
"""Quotes that everyone hears one by one where somebody wants the next one: twice as many each time he still does."""
Failed = Callable[[str, Recorded, Exception], Event]
"""Makes an event of what a component raised at an event."""


def _raised(_name: str, _at: Recorded, error: Exception) -> Event:
    raise error


class MemoryTape:
    """Plays outside events to components and lets them answer each other, in one order.

    Everything an event leads to gets its position before the next outside event does, as on a live tape whose
    components have no delay. Components hear an event in the order in which they are given here. `recorded` holds what
    components said; what is played to them stays with the caller. What a component raises comes out, unless `failed`
    makes an answer of it, as `tape.folding.failed` does live: then all goes on.
    """

    def __init__(self, components: Sequence[Component], failed: Failed = _raised) -> None:
        self.recorded: list[Recorded] = []
        self.position = 0
        self._moment = Moment()
        self._failed = failed
        self._routes: dict[type[Event], Route] = {}
        for component in components:
            component.moment = self._moment
            for event_type, handler in component.handlers().items():
                self._routes[event_type] = (*self._routes.get(event_type, ()), (handler, component.name))
        self._audience = Audience(components)

    def play(self, events: Iterable[Event | Span]) -> None:
        """Append outside events one by one, each with all that follows from it.

        Of a span, quotes that nobody has anything to say to are handled together: the outcome is the same.
        """
        routes, moment = self._routes, self._moment
        for event in events:
            if type(event) is Span:
                self._play_span(event)
                continue
            self.position = moment.position = position = self.position + 1
            heard = -1
            for handler, name in routes.get(type(event), ()):
                try:
                    outputs = handler(event)
                    if outputs is not None:
                        if heard < 0:
                            heard = len(self.recorded)
                        self._say(name, event, position, outputs)
                except Exception as error:  # noqa: BLE001 # whatever it is: as live
                    self._fail(name, event, position, error)
                    if heard < 0:
                        heard = len(self.recorded) - 1
            if heard >= 0:
                self._settle(heard)

    def of_type(self, event_type: type[E]) -> list[E]:
        """List what components said of this type."""
        return [recorded.event for recorded in self.recorded if isinstance(recorded.event, event_type)]

    def _play_span(self, span: Span) -> None:
        audience, moment, recorded, quotes = self._audience, self._moment, self.recorded, span.quotes
        cursor = alone = 0
        audience.attend(span)
        while (at := audience.next()) < len(quotes):
            if at == cursor:
                alone = min(2 * alone, MOST_ALONE) or FIRST_ALONE
                audience.wake(cursor)
                self.play(quotes[cursor : cursor + alone])
                cursor = min(cursor + alone, len(quotes))
                audience.heard_all(cursor)
                continue
            alone = 0
            self.position = moment.position = position = self.position + at + 1 - cursor
            cursor, event, heard = at + 1, quotes[at], len(recorded)
            for handler, name in audience.concerned(at):
                try:
                    outputs = handler(event)
                    if outputs is not None:
                        self._say(name, event, position, outputs)
                except Exception as error:  # noqa: BLE001 # whatever it is: as live
                    self._fail(name, event, position, error)
            if len(recorded) > heard:
                self._settle(heard, audience.woken_by, cursor)
            audience.ask(cursor)
        audience.wake(len(quotes))
        self.position += len(quotes) - cursor

    def _say(self, name: str, event: Event, cause: int, outputs: Iterable[Event]) -> None:
        """Record outputs under the ids that `headers.output_id` gives: written out, for there are very many."""
        ts_init, record, position = event.ts_init, self.recorded.append, self.position
        for index, output in enumerate(outputs):
            position += 1
            record(_recorded(position, cause, f"{name}/{cause}/{index}", ts_init, output))
        self.position = position

    def _fail(self, name: str, event: Event, cause: int, error: Exception) -> None:
        """Say instead of all that it had begun to say what became of the component that raised."""
        recorded = self.recorded
        while recorded and recorded[-1].position > self.position:
            recorded.pop()
        self._say(name, event, cause, (self._failed(name, Recorded(cause, None, "", event.ts_init, event), error),))

    def _settle(self, heard: int, waking: Collection[type[Event]] = (), cursor: int = 0) -> None:
        """Let everyone hear what was said since `recorded` had `heard` entries, until nobody says anything more.

        Before the first of those types `waking`, the audience of a span is brought to its `cursor`.
        """
        routes, moment, recorded = self._routes, self._moment, self.recorded
        while heard < len(recorded):
            said = recorded[heard]
            heard += 1
            event, position = said.event, said.position
            moment.position = position
            event_type = type(event)
            if event_type in waking:
                self._audience.wake(cursor)
                waking = ()
            for handler, name in routes.get(event_type, ()):
                try:
                    outputs = handler(event)
                    if outputs is not None:
                        self._say(name, event, position, outputs)
                except Exception as error:  # noqa: BLE001 # whatever it is: as live
                    self._fail(name, event, position, error)
