"""A double-entry ledger: every posting moves amounts between accounts, and in each unit it sums to zero."""

from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from contracts.types import Closed, InstrumentId, PositionSide, venue_of

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


class TradeAccounts(NamedTuple):
    """What a trade moves: units from the venue to whoever holds them, and cash to the venue."""

    venue_units: Account
    held: Account
    cash: Account
    venue_cash: Account


@lru_cache(maxsize=1024)
def trade_accounts(strategy: str, instrument: InstrumentId, currency: str, side: PositionSide) -> TradeAccounts:
    venue = venue_of(instrument)
    return TradeAccounts(
        Account(AccountKind.VENUE, venue, instrument, venue),
        Account(AccountKind.POSITION, strategy, instrument, side=side),
        Account(AccountKind.CASH, strategy, currency),
        Account(AccountKind.VENUE, venue, currency, venue),
    )


@lru_cache(maxsize=1024)
def fee_accounts(strategy: str, currency: str, instrument: InstrumentId) -> tuple[Account, Account]:
    """Give whose cash a fee leaves, and where it goes."""
    fees = Account(AccountKind.FEES, strategy, currency, venue_of(instrument))
    return Account(AccountKind.CASH, strategy, currency), fees


class Entry(NamedTuple):
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
        self.balances = dict(balances)

    def balance(self, kind: AccountKind, owner: str, unit: str, side: PositionSide = PositionSide.NET) -> Decimal:
        """Give the balance of an account that is at no venue: of capital, cash or a position."""
        return self.balances.get(Account(kind, owner, unit, side=side), ZERO)

    def at_venue(self, venue: str, unit: str) -> Decimal:
        """Give what trades, fees and fundings of all strategies have moved into our account at a venue."""
        return -sum(
            (amount for at, amount in self.balances.items() if at.venue == venue and at.unit == unit), start=ZERO
        )

    def transfer(self, amount: Decimal, *, source: Account, target: Account) -> None:
        """Book what `move` makes of this, without adding it up: it is balanced. Raises `Unbalanced` for two units."""
        if source.unit != target.unit:
            raise Unbalanced(f"{source} and {target} are not of one unit")
        balances = self.balances
        balances[source] = balances.get(source, ZERO) - amount
        balances[target] = balances.get(target, ZERO) + amount

    def post(self, entries: Iterable[Entry]) -> None:
        """Book all entries or none; raises `Unbalanced`."""
        listed = list(entries)
        sums: dict[str, Decimal] = {}
        for account, amount in listed:
            unit = account.unit
            sums[unit] = sums.get(unit, ZERO) + amount
        if wrong := {unit: amount for unit, amount in sums.items() if amount != 0}:
            raise Unbalanced(f"entries do not sum to zero: {wrong}")
        balances = self.balances
        for account, amount in listed:
            balances[account] = balances.get(account, ZERO) + amount


def move(amount: Decimal, *, source: Account, target: Account) -> tuple[Entry, Entry]:
    """Move `amount` from one account to another of the same unit."""
    return Entry(source, -amount), Entry(target, amount)
