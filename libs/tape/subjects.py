"""The subjects that a component's consumer brings: what it reads, and what is written under its own name."""

from contracts.event import EVENT_TYPES, subject_pattern
from contracts.ownership import EventTypes, Role, overlapping


def read_subjects(reads: EventTypes) -> list[str]:
    """Give the patterns that hold these types; everything is one pattern."""
    return [">"] if set(reads) == set(EVENT_TYPES.values()) else [subject_pattern(event_type) for event_type in reads]


def followed_subjects(role: Role) -> list[str]:
    """Give what an instance of `role` has to read to know what is still to be said; no two patterns overlap."""
    followed: list[str] = []
    for pattern in (*read_subjects(role.reads), *role.write_subjects()):
        if not overlapping([*followed, pattern]):
            followed.append(pattern)
    return followed
