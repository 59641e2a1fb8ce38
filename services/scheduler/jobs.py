"""What the scheduler knows of one model: what was asked for, how it went, and when it may ask again."""

from dataclasses import dataclass, field

SECOND = 1_000_000_000
UNHEARD_NS = 60 * SECOND
MORE_PATIENCE = 4
MOST_PATIENCE = 6


@dataclass(slots=True)
class Job:
    """The trainings of one family of models of one instrument. Rows are bars; times are ns."""

    lapses_at: int | None = None
    """When what was asked for, and was not heard of on the tape until then, counts as never said."""
    lapsed: int = 0
    """How often in a row that happened."""
    requested: dict[int, int | None] = field(default_factory=dict)
    """Positions of the requests, whoever made them, that have not ended, and how many bars each covers; None: bars of
    another interval."""
    covered: int | None = None
    """How many bars were known to the last training that has begun; None: there was none."""
    trained_at: int = 0
    """When one was asked for, or has begun, last."""
    failures: int = 0
    """In a row."""
    retry_at: int | None = None
    """When what has failed is tried again."""

    @property
    def is_free(self) -> bool:
        """Whether nothing is asked for or under way."""
        return self.lapses_at is None and not self.requested

    def lapse(self, now: int) -> None:
        """Let a request that was not heard of in time count as never said.

        A component that is new to an old tape learns from it in silence: what it asks for then is not on the tape. Each
        time in a row it waits longer: its answers to what it has missed while it was away come late, and all at once.
        """
        if self.lapses_at is not None and now >= self.lapses_at:
            self.lapses_at, self.lapsed = None, self.lapsed + 1

    def ask(self, now: int) -> None:
        self.lapses_at = now + UNHEARD_NS * MORE_PATIENCE ** min(self.lapsed, MOST_PATIENCE)
        self.trained_at = now

    def hear(self, position: int, rows: int | None, *, is_ours: bool) -> None:
        """Know of a request that is on the tape."""
        self.requested[position] = rows
        if is_ours:
            self.lapses_at, self.lapsed = None, 0

    def start(self, request: int, now: int) -> None:
        covered = self.requested.get(request)
        self.covered = self.covered if covered is None else covered
        self.trained_at = max(self.trained_at, now)
        self.retry_at = None

    def end(self, request: int) -> None:
        self.requested.pop(request, None)
