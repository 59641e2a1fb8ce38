"""How the money of USD-M stands on the wire: wallet, margins, positions, income."""

from collections.abc import Iterable

from venues.emulator.market import Market
from venues.emulator.orders import ZERO
from venues.emulator.usdm_account import Income, Key, Position, UsdmAccount
from venues.emulator.wire import Json, number, plain
from venues.emulator.words import PositionSide


def account_update(
    account: UsdmAccount, reason: str, assets: Iterable[str], positions: Iterable[Key], now: int
) -> Json:
    """Render wallet and positions after a change; `reason` is ORDER or FUNDING_FEE."""
    return {
        "e": "ACCOUNT_UPDATE",
        "E": now,
        "T": now,
        "a": {
            "m": reason,
            "B": [_balance_update(account, asset) for asset in dict.fromkeys(assets)],
            "P": [_position_update(account, key) for key in positions],
        },
    }


def _balance_update(account: UsdmAccount, asset: str) -> Json:
    wallet = number(account.ledger.free(asset))
    return {"a": asset, "wb": wallet, "cw": wallet, "bc": "0"}


def _position_update(account: UsdmAccount, key: Key) -> Json:
    symbol, side = key
    position = account.position(symbol, side)
    mark = account.markets[symbol].mark or ZERO
    return {
        "s": symbol,
        "pa": plain(position.amount),
        "ep": f"{position.entry:.8f}",
        "cr": number(position.realized),
        "up": f"{position.unrealized(mark):.8f}",
        "mt": "isolated" if symbol in account.isolated else "cross",
        "iw": "0",
        "ps": side,
    }


def position_risk(account: UsdmAccount, market: Market, side: PositionSide, position: Position) -> Json:
    symbol = market.pair.symbol
    mark = market.mark or ZERO
    notional = position.amount * mark
    margin = account.position_margin(symbol, position)
    return {
        "symbol": symbol,
        "positionSide": side,
        "positionAmt": plain(position.amount),
        "entryPrice": f"{position.entry:.8f}",
        "breakEvenPrice": f"{position.entry:.8f}",
        "markPrice": f"{mark:.8f}",
        "unRealizedProfit": f"{position.unrealized(mark):.8f}",
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": f"{notional:.8f}",
        "marginAsset": market.pair.quote,
        "isolatedWallet": "0",
        "initialMargin": f"{margin:.8f}",
        "maintMargin": f"{abs(notional) * account.settings.maintenance_rate:.8f}",
        "positionInitialMargin": f"{margin:.8f}",
        "openOrderInitialMargin": "0",
        "adl": 0,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": position.updated,
    }


def account_json(account: UsdmAccount, now: int) -> Json:
    """Render the account: assets with margins, and the positions that are open."""
    open_positions = [
        _account_position(account, key, position) for key, position in account.positions.items() if position.amount
    ]
    assets = [asset_json(account, asset, now) for asset in account.ledger.assets]
    usdt = asset_json(account, "USDT", now)
    return {
        "totalInitialMargin": usdt["initialMargin"],
        "totalMaintMargin": usdt["maintMargin"],
        "totalWalletBalance": usdt["walletBalance"],
        "totalUnrealizedProfit": usdt["unrealizedProfit"],
        "totalMarginBalance": usdt["marginBalance"],
        "totalPositionInitialMargin": usdt["positionInitialMargin"],
        "totalOpenOrderInitialMargin": usdt["openOrderInitialMargin"],
        "totalCrossWalletBalance": usdt["walletBalance"],
        "totalCrossUnPnl": usdt["unrealizedProfit"],
        "availableBalance": usdt["availableBalance"],
        "maxWithdrawAmount": usdt["availableBalance"],
        "assets": assets,
        "positions": open_positions,
    }


def asset_json(account: UsdmAccount, asset: str, now: int) -> Json:
    wallet = account.ledger.free(asset)
    unrealized = account.unrealized(asset)
    positions, orders = account.margins(asset)
    maintenance = sum(
        (
            abs(position.amount) * (account.markets[symbol].mark or ZERO) * account.settings.maintenance_rate
            for (symbol, _), position in account.positions.items()
            if account.markets[symbol].pair.quote == asset
        ),
        ZERO,
    )
    return {
        "asset": asset,
        "walletBalance": number(wallet),
        "balance": number(wallet),
        "unrealizedProfit": f"{unrealized:.8f}",
        "marginBalance": number(wallet) if unrealized == 0 else f"{wallet + unrealized:.8f}",
        "maintMargin": f"{maintenance:.8f}",
        "initialMargin": f"{positions + orders:.8f}",
        "positionInitialMargin": f"{positions:.8f}",
        "openOrderInitialMargin": f"{orders:.8f}",
        "crossWalletBalance": number(wallet),
        "crossUnPnl": f"{unrealized:.8f}",
        "availableBalance": f"{max(account.available(asset), ZERO):.8f}",
        "maxWithdrawAmount": f"{max(account.available(asset), ZERO):.8f}",
        "marginAvailable": True,
        "updateTime": now,
    }


def _account_position(account: UsdmAccount, key: Key, position: Position) -> Json:
    symbol, side = key
    risk = position_risk(account, account.markets[symbol], side, position)
    kept = ("symbol", "positionSide", "positionAmt", "isolatedMargin", "notional", "isolatedWallet")
    return {
        **{name: risk[name] for name in (*kept, "initialMargin", "maintMargin", "entryPrice", "updateTime")},
        "unrealizedProfit": risk["unRealizedProfit"],
        "leverage": str(account.leverage(symbol)),
    }


def income_json(income: Income) -> Json:
    return {
        "symbol": income.symbol,
        "incomeType": income.kind,
        "income": number(income.amount),
        "asset": income.asset,
        "info": income.kind,
        "time": income.time,
        "tranId": income.id,
        "tradeId": income.trade_id,
    }
