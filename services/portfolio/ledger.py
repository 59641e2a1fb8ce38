"""A double-entry ledger: every posting moves amounts between accounts, and in each unit it sums to zero."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from contracts.types import Closed, PositionSide

ZERO = Decimal(0)


class AccountKind(Closed):
    CAPITAL = "capital"
    CASH = "cash"
    POSITION = "position"
    FEES = "fees"
    FUNDING = "funding"
    VENUE = "venue"
    """Whom we trade with: what a venue got from us for what it gave."""


class Account(NamedTuple):
    """Whose account of what: `unit` is a currency, or an instrument whose units are held.

    `venue` is whose account there moves with it; `side` tells a long from a short where they are kept apart.
    """

    kind: AccountKind
    owner: str
    unit: str
    venue: str = ""
    side: PositionSide = PositionSide.NET


class Entry(NamedTuple):
    account: Account
    amount: Decimal


class Unbalanced(ValueError):
    """A posting would make something appear or vanish."""


@dataclass(slots=True)
class Balance:
    """What an account holds now."""

    amount: Decimal = ZERO


@dataclass(slots=True)
class Way:
    """From one account to another of the same unit: whatever is moved on it, the ledger stays balanced."""

    source: Balance
    target: Balance

    def move(self, amount: Decimal) -> None:
        source, target = self.source, self.target
        source.amount -= amount
        target.amount += amount


class Ledger:
    """Balances by account; the tape is the journal."""

    def __init__(self) -> None:
        self._balances: dict[Account, Balance] = {}

    def state(self) -> list[Entry]:
        return [Entry(account, balance.amount) for account, balance in self._balances.items()]

    def restore(self, balances: list[Entry]) -> None:
        """Begin anew with these; ways of before lead nowhere any more."""
        self._balances = {account: Balance(amount) for account, amount in balances}

    @property
    def balances(self) -> dict[Account, Decimal]:
        return {account: balance.amount for account, balance in self._balances.items()}

    def opened(self, account: Account) -> Balance:
        """Give an account to read and book on; one that is new holds nothing."""
        balance = self._balances.get(account)
        if balance is None:
            balance = self._balances[account] = Balance()
        return balance

    def way(self, *, source: Account, target: Account) -> Way:
        """Open both accounts; raises `Unbalanced` for two units."""
        if source.unit != target.unit:
            raise Unbalanced(f"{source} and {target} are not of one unit")
        return Way(self.opened(source), self.opened(target))

    def balance(self, kind: AccountKind, owner: str, unit: str, side: PositionSide = PositionSide.NET) -> Decimal:
        """Give the balance of an account that is at no venue: of capital, cash or a position."""
        balance = self._balances.get(Account(kind, owner, unit, side=side))
        return ZERO if balance is None else balance.amount

    def at_venue(self, venue: str, unit: str) -> Decimal:
        """Give what trades, fees and fundings of all strategies have moved into our account at a venue."""
        there = (held.amount for at, held in self._balances.items() if at.venue == venue and at.unit == unit)
        return -sum(there, start=ZERO)

    def post(self, entries: Iterable[Entry]) -> None:
        """Book all entries or none; raises `Unbalanced`."""
        listed = list(entries)
        sums: dict[str, Decimal] = {}
        for account, amount in listed:
            unit = account.unit
            sums[unit] = sums.get(unit, ZERO) + amount
        if wrong := {unit: amount for unit, amount in sums.items() if amount != 0}:
            raise Unbalanced(f"entries do not sum to zero: {wrong}")
        for account, amount in listed:
            self.opened(account).amount += amount


def move(amount: Decimal, *, source: Account, target: Account) -> tuple[Entry, Entry]:
    """Move `amount` from one account to another of the same unit."""
    return Entry(source, -amount), Entry(target, amount)
