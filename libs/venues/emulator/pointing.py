"""Turning a ccxt exchange towards the emulator, so that nothing it does leaves the machine."""

from typing import Any, Protocol
from urllib.parse import urlsplit

REAL_HOSTS = {"/api": "https://api.binance.com", "/fapi": "https://fapi.binance.com"}
"""ccxt knows by the host which board an error is of."""

SOCKET_PATHS = {"spot": "/stream/ws", "margin": "/stream/ws", "linear": "/fstream/ws"}
"""ccxt knows a spot stream by `/stream` in its address."""

API_PATHS = {"spot": "/ws-api/v3", "linear": "/ws-fapi/v1"}


class CcxtExchange(Protocol):
    """What of a ccxt exchange is turned; ccxt has no types of its own for it."""

    id: str
    apiKey: str  # noqa: N815
    secret: str
    urls: dict[str, Any]
    options: dict[str, Any]
    get_exceptions_by_url: Any


def point(exchange: CcxtExchange, rest_url: str, ws_url: str, api_key: str, secret: str) -> None:
    """Rewrite addresses, keys and options of a `binance` or `binanceusdm` of ccxt or ccxt.pro."""
    exchange.apiKey, exchange.secret = api_key, secret
    exchange.urls["api"] = {
        name: _sockets(url, ws_url) if name == "ws" else rest_url + urlsplit(url).path
        for name, url in exchange.urls["api"].items()
    }
    exchange.options["fetchCurrencies"] = False
    exchange.options["fetchMargins"] = False
    types = ["linear"] if exchange.id == "binanceusdm" else ["spot"]
    exchange.options["fetchMarkets"] = {"types": types, "loadAllOptions": False}
    by_url = exchange.get_exceptions_by_url

    def exceptions(url: str, kind: str) -> object:
        path = url.removeprefix(rest_url).removeprefix(ws_url).replace("/ws-api", "/api").replace("/ws-fapi", "/fapi")
        host = next((host for prefix, host in REAL_HOSTS.items() if path.startswith(f"{prefix}/")), rest_url)
        return by_url(host + path, kind)

    exchange.get_exceptions_by_url = exceptions


def _sockets(urls: dict[str, Any], ws_url: str) -> dict[str, Any]:
    """Rewrite websocket addresses; boards that are not emulated lead nowhere."""
    turned: dict[str, Any] = {}
    for name, url in urls.items():
        if name == "ws-api":
            turned[name] = {board: ws_url + API_PATHS.get(board, "/nowhere") for board in url}
        else:
            turned[name] = ws_url + SOCKET_PATHS.get(name, "/nowhere")
    return turned
