"""What `hmm up` says when a replay has been read to its end by everybody."""

from services.cli.health import Health
from services.cli.output import number
from services.cli.settings import StackSettings
from services.cli.survey import Survey, survey


async def print_summary(settings: StackSettings, feed: Health, seconds: float) -> None:
    found = await survey(settings)
    print(f"\nthe replay is finished and everything has caught up, {seconds:.1f} s after the start")
    for what, said in _lines(feed, found):
        print(f"  {what:<10} {said}")
    for line in found.grouped_notes:
        print(f"  {line}")
    print("\nthe stack is left up: hmm status, hmm sql, hmm tape; stop it with: hmm down", flush=True)


def _lines(feed: Health, found: Survey) -> list[tuple[str, str]]:
    lines = [("feed", feed.detail or "finished")]
    if tape := found.tape.get("TAPE"):
        lines.append(("tape", f"positions {number(tape.first_seq)} to {number(tape.last_seq)}"))
    if found.store.rows:
        lines.append(("store", _counts({table: count for table, count in found.store.rows.items() if count})))
    if found.orders:
        lines.append(("orders", _counts(found.orders)))
    equity = [f"{row['strategy']}: {row['equity']} {row['currency']} (cash {row['cash']})" for row in found.equity]
    return lines + [("equity", said) for said in equity]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number(count)} {what}" for what, count in counts.items())
