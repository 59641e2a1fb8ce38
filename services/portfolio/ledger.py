"""A double-entry ledger: every posting moves amounts between accounts, and in each unit it sums to zero."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

ZERO = Decimal(0)


class AccountKind(Enum):
    CAPITAL = "capital"
    CASH = "cash"
    POSITION = "position"
    FEES = "fees"
    VENUE = "venue"


@dataclass(frozen=True, slots=True)
class Account:
    """Whose account of what: `unit` is a currency, or an instrument whose units are held."""

    kind: AccountKind
    owner: str
    unit: str


@dataclass(frozen=True, slots=True)
class Entry:
    account: Account
    amount: Decimal


class Unbalanced(ValueError):
    """A posting would make something appear or vanish."""


class Ledger:
    """Balances by account; the tape is the journal."""

    def __init__(self) -> None:
        self.balances: dict[Account, Decimal] = {}

    def state(self) -> list[Entry]:
        return [Entry(account, amount) for account, amount in self.balances.items()]

    def restore(self, balances: list[Entry]) -> None:
        self.balances = {entry.account: entry.amount for entry in balances}

    def balance(self, kind: AccountKind, owner: str, unit: str) -> Decimal:
        return self.balances.get(Account(kind, owner, unit), ZERO)

    def post(self, entries: Iterable[Entry]) -> None:
        """Book all entries or none; raises `Unbalanced`."""
        listed = list(entries)
        sums: dict[str, Decimal] = {}
        for entry in listed:
            sums[entry.account.unit] = sums.get(entry.account.unit, ZERO) + entry.amount
        if wrong := {unit: amount for unit, amount in sums.items() if amount != 0}:
            raise Unbalanced(f"entries do not sum to zero: {wrong}")
        for entry in listed:
            self.balances[entry.account] = self.balances.get(entry.account, ZERO) + entry.amount


def move(
    unit: str, amount: Decimal, *, source: tuple[AccountKind, str], target: tuple[AccountKind, str]
) -> list[Entry]:
    """Move `amount` of `unit` from one account to another."""
    return [Entry(Account(*source, unit), -amount), Entry(Account(*target, unit), amount)]
