"""What the exchange answers when it refuses: HTTP status, code and message as Binance documents them."""

from venues.emulator.words import Board


class Refusal(Exception):
    """An answer in the negative: `status` is the HTTP status, `code` and `text` the body."""

    def __init__(self, code: int, text: str, status: int = 400, retry_after_s: int | None = None) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.status = status
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, object]:
        return {"code": self.code, "msg": self.text}


def filter_failure(name: str) -> Refusal:
    return Refusal(-1013, f"Filter failure: {name}")


def mandatory(name: str) -> Refusal:
    return Refusal(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def not_valid(name: str) -> Refusal:
    return Refusal(-1130, f"Data sent for parameter '{name}' is not valid.")


def invalid_symbol() -> Refusal:
    return Refusal(-1121, "Invalid symbol.")


def unknown_order() -> Refusal:
    return Refusal(-2011, "Unknown order sent.")


def no_such_order() -> Refusal:
    return Refusal(-2013, "Order does not exist.")


def duplicate(board: Board) -> Refusal:
    if board is Board.SPOT:
        return Refusal(-2010, "Duplicate order sent.")
    return Refusal(-4116, "ClientOrderId is duplicated.")


def insufficient(board: Board) -> Refusal:
    if board is Board.SPOT:
        return Refusal(-2010, "Account has insufficient balance for requested action.")
    return Refusal(-2019, "Margin is insufficient.")


def would_trigger(board: Board) -> Refusal:
    if board is Board.SPOT:
        return Refusal(-2010, "Stop price would trigger immediately.")
    return Refusal(-2021, "Order would immediately trigger.")


def would_take(board: Board) -> Refusal:
    if board is Board.SPOT:
        return Refusal(-2010, "Order would immediately match and take.")
    return Refusal(-5022, "Due to the order could not be executed as maker, the Post Only order will be rejected.")


def not_trading(board: Board) -> Refusal:
    if board is Board.SPOT:
        return Refusal(-1013, "Market is closed.")
    return Refusal(-4140, "Invalid symbol status for opening position.")


def reduce_only_rejected() -> Refusal:
    return Refusal(-2022, "ReduceOnly Order is rejected.")


def unknown_listen_key() -> Refusal:
    return Refusal(-1125, "This listenKey does not exist. Please use `POST /fapi/v1/listenKey` to recreate `listenKey`")


def unknown_state() -> Refusal:
    """Refuse in the one way that may mean success: what was asked may or may not have been done."""
    return Refusal(-1000, "Unknown error, please check your request or try again later.", status=503)


def timeout() -> Refusal:
    text = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
    return Refusal(-1007, text, status=408)


def too_much_weight(limit: int, retry_after_s: int) -> Refusal:
    text = (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    return Refusal(-1003, text, status=429, retry_after_s=retry_after_s)


def banned(until_ms: int, retry_after_s: int) -> Refusal:
    text = (
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )
    return Refusal(-1003, text, status=418, retry_after_s=retry_after_s)


def too_many_orders(limit: int, seconds: int) -> Refusal:
    text = f"Too many new orders; current limit is {limit} orders per {seconds} SECOND."
    return Refusal(-1015, text, status=429, retry_after_s=seconds)
