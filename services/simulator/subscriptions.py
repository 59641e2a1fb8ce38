"""Who is subscribed to what: exact subjects, and subjects whose last word is a wildcard."""

from collections.abc import Iterator

from services.simulator.network import Link

Subscriber = tuple[Link, str]
"""A connection and the number that it gave its subscription."""


class Subscriptions:
    def __init__(self) -> None:
        self._on: dict[str, list[Subscriber]] = {}
        self._of: dict[Link, dict[str, str]] = {}

    def add(self, link: Link, sid: str, subject: str) -> None:
        """Subscribe; a number that is taken stays what it is, as with a real server."""
        assert ">" not in subject and "*" not in subject[:-1], f"the simulator knows no subscription like {subject}"
        own = self._of.setdefault(link, {})
        if sid not in own:
            own[sid] = subject
            self._on.setdefault(subject, []).append((link, sid))

    def remove(self, link: Link, sid: str) -> None:
        subject = self._of.get(link, {}).pop(sid, None)
        if subject is not None:
            self._on[subject].remove((link, sid))
            if not self._on[subject]:
                del self._on[subject]

    def remove_all(self, link: Link) -> None:
        for sid in list(self._of.get(link, ())):
            self.remove(link, sid)
        self._of.pop(link, None)

    def to(self, subject: str) -> Iterator[Subscriber]:
        on = self._on
        yield from on.get(subject, ())
        yield from on.get(f"{subject.rpartition('.')[0]}.*", ())

    def anyone(self, subject: str) -> bool:
        return subject in self._on
