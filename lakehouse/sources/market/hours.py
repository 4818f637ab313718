"""When a market is open. Here: the hours of each symbol. Not here: what is done while it is closed.

Crypto is traded always. Forex opens on Sunday at 17:00 and closes on Friday at 17:00 of New York, whose clock goes with
daylight saving; it rests on 25 December and 1 January of New York.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from lakehouse.contracts.window import Window
from lakehouse.sources.market.tick import is_forex

_ANY_FOREX = "EUR/USD"
_NEW_YORK = "America/New_York"
_CLOSING_HOUR = 17
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6
_HOLIDAYS = {(12, 25), (1, 1)}


def is_open(symbol: str, at: datetime) -> bool:
    """Whether `symbol` is traded at this moment (with a time zone)."""
    return not is_forex(symbol) or _forex_is_open(at)


def was_open(symbol: str, start: datetime, end: datetime) -> bool:
    """Whether `symbol` was traded at any moment of [start, end). Hours change on full hours only."""
    moment = start
    while moment < end:
        if is_open(symbol, moment):
            return True
        moment = min(_next_hour(moment), end)
    return False


def forex_gate(window: Window) -> str | None:
    """Why a window of a currency pipeline needs no run; None when forex was open in it."""
    if was_open(_ANY_FOREX, window.start, window.end):
        return None
    opening = next_opening(_ANY_FOREX, window.end)
    return f"the forex market is closed; it opens at {opening:%Y-%m-%d %H:%M} UTC."


def next_opening(symbol: str, after: datetime) -> datetime:
    """The first moment from `after` on at which `symbol` is traded, UTC."""
    moment = after.astimezone(UTC)
    while not is_open(symbol, moment):
        moment = _next_hour(moment)
    return moment


def _forex_is_open(at: datetime) -> bool:
    local = at.astimezone(ZoneInfo(_NEW_YORK))
    if (local.month, local.day) in _HOLIDAYS:
        return False
    if local.weekday() == _FRIDAY:
        return local.hour < _CLOSING_HOUR
    if local.weekday() == _SUNDAY:
        return local.hour >= _CLOSING_HOUR
    return local.weekday() != _SATURDAY


def _next_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
