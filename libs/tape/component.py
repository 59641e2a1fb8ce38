"""What a component is: a deterministic state machine that folds events and returns events."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

from contracts.event import Event
from contracts.types import InstrumentId

Outputs = Iterable[Event] | None
Handler = Callable[[Any], Outputs]
F = TypeVar("F", bound=Callable[..., Outputs])

_HANDLES = "_handles_event_types"


def on(*event_types: type[Event]) -> Callable[[F], F]:
    """Mark a method as the handler of these event types; it returns or yields what is to be said on the tape."""

    def mark(method: F) -> F:
        setattr(method, _HANDLES, event_types)
        return method

    return mark


class Moment:
    """The event in hand: its position. Whoever runs components moves it; components only read it."""

    __slots__ = ("position",)

    def __init__(self) -> None:
        self.position = 0


class Component:
    """Base of everything that decides.

    No I/O, no wall clock, no unseeded randomness, no threads: time is the time of the event in hand. A handler that has
    nothing to say returns None; on the hottest events that is much cheaper than an empty generator.
    """

    name: str
    produces: ClassVar[tuple[type[Event], ...]]
    State: ClassVar[type[Any]]
    """A dataclass of all that the component knows beyond its settings, of types that JSON gives back exactly."""
    state_version: ClassVar[int] = 1
    """Raised whenever a kept state would be understood wrongly: older ones are then made anew from the tape."""
    moment: Moment
    _handlers: ClassVar[dict[type[Event], str]] = {}

    def __init__(self, name: str) -> None:
        self.name = name
        self.moment = Moment()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._handlers = dict(cls._handlers)
        for attribute, method in vars(cls).items():
            for event_type in getattr(method, _HANDLES, ()):
                cls._handlers[event_type] = attribute

    def state(self) -> Any:  # noqa: ANN401 # each component has a type of its own
        """Give what the component knows. It is looked at before the next event is handled, and never changed."""
        raise NotImplementedError(f"{type(self).__name__} has no state that could be kept")

    def restore(self, state: Any) -> None:  # noqa: ANN401 # as above
        """Go on from a state that such a component gave, perhaps under other settings.

        What can only be meant under those settings (an average over another number of bars) begins anew. The state is
        taken over, not copied: nobody else may use it any more.
        """
        raise NotImplementedError(f"{type(self).__name__} has no state that could be kept")

    def rests_until(self, _instrument: InstrumentId) -> int:
        """Say until when (ns) quotes of an instrument mean nothing to it but the last one, if nothing else happens.

        Whoever runs it may then hand it that one alone. 0: it wants each.
        """
        return 0

    @classmethod
    def consumes(cls) -> tuple[type[Event], ...]:
        """The event types this component handles: its subscription."""
        return tuple(cls._handlers)

    def handlers(self) -> dict[type[Event], Handler]:
        """Bind the handlers to this instance."""
        return {event_type: getattr(self, attribute) for event_type, attribute in self._handlers.items()}
