"""The addresses of USD-M that concern money: account, positions, leverage, income, funding."""

from functools import partial

from venues.emulator import wire_usdm, wire_usdm_money
from venues.emulator.endpoints import Endpoint, Endpoints, Handler, Security
from venues.emulator.params import Params
from venues.emulator.refusals import Refusal
from venues.emulator.settings import EmulatorSettings
from venues.emulator.usdm_account import Position
from venues.emulator.usdm_venue import UsdmVenue
from venues.emulator.wire import Json, plain
from venues.emulator.words import Board, PositionSide

MOST_LEVERAGE = 125
DONE: Json = {"code": 200, "msg": "success"}


class UsdmFunds:
    """Answers requests about the money of USD-M."""

    def __init__(self, venue: UsdmVenue, settings: EmulatorSettings) -> None:
        self._venue = venue
        self._account = venue.account
        self._settings = settings

    def endpoints(self) -> Endpoints:
        """Give the endpoints by method and path."""

        def signed(handler: Handler, weight: int = 5) -> Endpoint:
            return Endpoint(Board.USDM, handler, weight, security=Security.SIGNED)

        def public(handler: Handler) -> Endpoint:
            return Endpoint(Board.USDM, handler)

        both = ("v2", "v3")
        return {
            ("GET", "/fapi/v1/premiumIndex"): public(self.premium_index),
            ("GET", "/fapi/v1/fundingRate"): public(self.funding_rates),
            ("GET", "/fapi/v1/fundingInfo"): public(lambda _: []),
            **{("GET", f"/fapi/{version}/account"): signed(self.account) for version in both},
            **{("GET", f"/fapi/{version}/balance"): signed(self.balance) for version in both},
            **{
                ("GET", f"/fapi/{version}/positionRisk"): signed(partial(self.positions, with_leverage=version == "v2"))
                for version in both
            },
            ("POST", "/fapi/v1/leverage"): signed(self.set_leverage, 1),
            ("POST", "/fapi/v1/marginType"): signed(self.set_margin_type, 1),
            ("GET", "/fapi/v1/positionSide/dual"): signed(self.mode, 30),
            ("POST", "/fapi/v1/positionSide/dual"): signed(self.set_mode, 1),
            ("GET", "/fapi/v1/leverageBracket"): signed(self.brackets, 1),
            ("GET", "/fapi/v1/symbolConfig"): signed(self.symbol_config),
            ("GET", "/fapi/v1/commissionRate"): signed(self.commission_rate, 20),
            ("GET", "/fapi/v1/income"): signed(self.income, 30),
        }

    def premium_index(self, params: Params) -> object:
        if params.has("symbol"):
            return wire_usdm.premium(self._venue.market(params.text("symbol")), params.now)
        return [wire_usdm.premium(market, params.now) for market in self._venue.markets.values()]

    def funding_rates(self, params: Params) -> object:
        """Give fundings that were settled, oldest first."""
        start, end = params.period()
        symbols = [self._venue.market(params.text("symbol"))] if params.has("symbol") else self._venue.markets.values()
        found = [
            (funding.time, wire_usdm.funding_json(market, funding))
            for market in symbols
            for funding in market.fundings
            if (start is None or funding.time >= start) and (end is None or funding.time <= end)
        ]
        found.sort(key=lambda pair: pair[0])
        limit = params.limit(100, 1_000)
        return [funding for _, funding in (found[:limit] if start is not None else found[-limit:])]

    def account(self, params: Params) -> object:
        return wire_usdm_money.account_json(self._account, params.now)

    def balance(self, params: Params) -> object:
        assets = self._account.ledger.assets
        alias = {"accountAlias": "emulator"}
        return [{**alias, **wire_usdm_money.asset_json(self._account, asset, params.now)} for asset in assets]

    def positions(self, params: Params, *, with_leverage: bool) -> object:
        """Give positions: every open one, and those of a symbol that is named also when they are flat."""
        symbol = params.maybe("symbol")
        if symbol is not None:
            self._venue.market(symbol)
        sides = (PositionSide.LONG, PositionSide.SHORT) if self._account.is_hedged else (PositionSide.BOTH,)
        keys = [(name, side) for name in self._venue.markets for side in sides if symbol in {None, name}]
        found = []
        for key in keys:
            position = self._account.positions.get(key, Position())
            if position.amount or symbol is not None or with_leverage:
                body = wire_usdm_money.position_risk(self._account, self._venue.markets[key[0]], key[1], position)
                if with_leverage:
                    body.update(self._settings_of(key[0]))
                found.append(body)
        return found

    def _settings_of(self, symbol: str) -> Json:
        return {
            "leverage": str(self._account.leverage(symbol)),
            "maxNotionalValue": "1000000000",
            "marginType": "isolated" if symbol in self._account.isolated else "cross",
            "isAutoAddMargin": "false",
        }

    def set_leverage(self, params: Params) -> Json:
        symbol, leverage = self._symbol(params), params.integer("leverage")
        if not 1 <= leverage <= MOST_LEVERAGE:
            raise Refusal(-4028, f"Leverage {leverage} is not valid")
        before = self._account.leverages.get(symbol)
        self._account.leverages[symbol] = leverage
        if self._account.available(self._venue.market(symbol).pair.quote) < 0:
            if before is None:
                del self._account.leverages[symbol]
            else:
                self._account.leverages[symbol] = before
            raise Refusal(-2028, "Leverage is smaller than permitted: insufficient margin balance.")
        return {"symbol": symbol, "leverage": leverage, "maxNotionalValue": "1000000000"}

    def set_margin_type(self, params: Params) -> Json:
        symbol, kind = self._symbol(params), params.text("marginType")
        if kind not in {"ISOLATED", "CROSSED"}:
            raise Refusal(-1130, "Data sent for parameter 'marginType' is not valid.")
        isolated = self._account.isolated
        if (kind == "ISOLATED") == (symbol in isolated):
            raise Refusal(-4046, "No need to change margin type.")
        self._require_quiet(symbol, -4047, "Margin type")
        isolated.symmetric_difference_update({symbol})
        return DONE

    def mode(self, _: Params) -> Json:
        return {"dualSidePosition": self._account.is_hedged}

    def set_mode(self, params: Params) -> Json:
        hedged = params.flag("dualSidePosition")
        if hedged == self._account.is_hedged:
            raise Refusal(-4059, "No need to change position side.")
        self._require_quiet(None, -4067, "Position side")
        self._account.is_hedged = hedged
        return DONE

    def _require_quiet(self, symbol: str | None, code: int, what: str) -> None:
        """Refuse a change of mode while there are open orders or positions."""
        if any(symbol in {None, order.pair.symbol} for order in self._venue.open.values()):
            raise Refusal(code, f"{what} cannot be changed if there exists open orders.")
        positions = self._account.positions.items()
        if any(position.amount and symbol in {None, name} for (name, _), position in positions):
            raise Refusal(code - 1, f"{what} cannot be changed if there exists position.")

    def brackets(self, params: Params) -> object:
        rate = plain(self._settings.maintenance_rate)
        bracket = {
            "bracket": 1,
            "initialLeverage": MOST_LEVERAGE,
            "notionalCap": 1_000_000_000,
            "notionalFloor": 0,
            "maintMarginRatio": rate,
            "cum": 0,
        }
        symbols = [self._symbol(params)] if params.has("symbol") else list(self._venue.markets)
        return [{"symbol": symbol, "brackets": [bracket]} for symbol in symbols]

    def symbol_config(self, params: Params) -> object:
        symbols = [self._symbol(params)] if params.has("symbol") else list(self._venue.markets)
        return [
            {
                "symbol": symbol,
                "marginType": "ISOLATED" if symbol in self._account.isolated else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": self._account.leverage(symbol),
                "maxNotionalValue": "1000000000",
            }
            for symbol in symbols
        ]

    def commission_rate(self, params: Params) -> Json:
        return {
            "symbol": self._symbol(params),
            "makerCommissionRate": plain(self._settings.usdm_maker_fee),
            "takerCommissionRate": plain(self._settings.usdm_taker_fee),
        }

    def income(self, params: Params) -> object:
        """Give movements of the wallet, oldest first."""
        start, end = params.period()
        symbol, kind = params.maybe("symbol"), params.maybe("incomeType")
        found = [
            income
            for income in self._account.incomes
            if symbol in {None, income.symbol}
            and kind in {None, income.kind}
            and (start is None or income.time >= start)
            and (end is None or income.time <= end)
        ]
        limit = params.limit(100, 1_000)
        return [
            wire_usdm_money.income_json(income) for income in (found[:limit] if start is not None else found[-limit:])
        ]

    def _symbol(self, params: Params) -> str:
        return self._venue.market(params.text("symbol")).pair.symbol
