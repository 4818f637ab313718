"""What an answer, or the lack of one, means for the next attempt: try again, wait so long, or give up.

Here: the verdict on one attempt. Not here: asking (`sources.http`).
"""

import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from lakehouse.errors import LakehouseError, SourceRefusedError, SourceUnavailableError

if TYPE_CHECKING:
    import httpx

MAX_WAIT_SECONDS = 60.0
_TOO_MANY = 429
_BUSY = {408, 425, _TOO_MANY}
_SERVER_ERROR = 500
_REDIRECT = 300


class TryAgainError(Exception):
    """This attempt failed in a way that another one may not. `wait` is what the service asked for, in seconds."""

    def __init__(self, reason: str, *, wait: float = 0.0, is_outage: bool = True) -> None:
        super().__init__(reason)
        self.wait = wait
        self.is_outage = is_outage


def speaks_against(error: Exception) -> bool:
    """A refusal proves that the service answers; so does "too many requests"."""
    return error.is_outage if isinstance(error, TryAgainError) else not isinstance(error, LakehouseError)


def require_success(response: "httpx.Response", origin: str) -> None:
    """Pass a success.

    Raises:
        TryAgainError: another attempt may do better.
        SourceUnavailableError: the service asks for a pause that is longer than anyone waits.
        SourceRefusedError: it will not answer this question.
    """
    status = response.status_code
    said = f"{origin} answers {status} {response.reason_phrase} to GET {response.url.path}"
    if status in _BUSY or status >= _SERVER_ERROR:
        wait = _asked_wait(response.headers.get("retry-after", ""))
        if wait > MAX_WAIT_SECONDS:
            raise SourceUnavailableError(
                f"{said} and asks for a pause of {wait:.0f} s.", fix="Ask again after that time."
            )
        raise TryAgainError(said, wait=wait, is_outage=status >= _SERVER_ERROR)
    if status >= _REDIRECT:
        where = f" It points to {response.headers['location']}." if "location" in response.headers else ""
        raise SourceRefusedError(f"{said}.{where}", fix="Check the source's address and credentials.")


def _asked_wait(text: str) -> float:
    """Seconds out of a Retry-After header, which is a number or a date; 0 when it is neither."""
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def next_link(response: "httpx.Response") -> str | None:
    """The address of the next page, absolute, out of the `Link` header."""
    url = response.links.get("next", {}).get("url")
    return None if url is None else urljoin(str(response.url), url)


def is_certificate_error(error: BaseException) -> bool:
    """Whether the other side could not prove who it is."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
