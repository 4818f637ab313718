"""Asking an HTTP service for JSON: time limits, retries with back-off, a circuit breaker, TLS where it is required.

Here: one question and its whole answer. Not here: pages and records (`sources.rest`), which services there are
(`sources.api_config`).
"""

import json
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin, urlsplit

from lakehouse.engine.circuit_notes import kept_breaker
from lakehouse.engine.encryption import require_encrypted
from lakehouse.errors import LakehouseError, SourceRefusedError, SourceUnavailableError
from lakehouse.settings import Settings
from lakehouse.sources.raw_json import parse_json

if TYPE_CHECKING:
    import httpx

MAX_BODY_BYTES = 64 << 20
MAX_WAIT_SECONDS = 60.0
_TOO_MANY = 429
_BUSY = {408, 425, _TOO_MANY}
_SERVER_ERROR = 500
_REDIRECT = 300


@dataclass(frozen=True)
class TimeLimits:
    """Seconds: to connect, between two pieces of an answer, for the whole answer."""

    connect: float = 5.0
    read: float = 10.0
    total: float = 60.0


@dataclass(frozen=True)
class Answer:
    """A whole answer. `next_url` is the `Link: <…>; rel="next"` of its header, absolute."""

    payload: Any
    next_url: str | None = None


@dataclass(frozen=True)
class Credentials:
    """What proves who we are; never shown."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)


class _TryAgainError(Exception):
    """This attempt failed in a way that another one may not. `wait` is what the service asked for, in seconds."""

    def __init__(self, reason: str, *, wait: float = 0.0, is_outage: bool = True) -> None:
        super().__init__(reason)
        self.wait = wait
        self.is_outage = is_outage


class HttpClient:
    """A connection pool to one service, kept open between questions.

    Args:
        settings: For the circuit's state and LAKEHOUSE_REQUIRE_TLS.
        base_url: Where the service is.
        credentials: Sent with every question, and only to this service.
        limits: Time limits.
        attempts: How often one question is asked, at most.
        sleep: Waits between attempts.

    Raises:
        SettingsError: when TLS is required and `base_url` has none.
    """

    def __init__(
        self,
        settings: Settings,
        base_url: str,
        *,
        credentials: Credentials | None = None,
        limits: TimeLimits | None = None,
        attempts: int = 5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx

        parts = urlsplit(base_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        require_encrypted(
            settings,
            what=self._origin,
            host=parts.hostname or "",
            is_encrypted=parts.scheme == "https",
            fix="Use its https address.",
        )
        self._base_url = base_url
        self._credentials = credentials or Credentials()
        self._limits = limits or TimeLimits()
        self._attempts = attempts
        self._breaker = kept_breaker(settings, f"api {self._origin}", is_failure=_speaks_against)
        self._sleep = sleep
        self._client = httpx.Client(
            headers={"accept": "application/json", "user-agent": "lakehouse", **self._credentials.headers},
            auth=self._credentials.basic,
            timeout=httpx.Timeout(self._limits.read, connect=self._limits.connect),
            # Redirects could lead the credentials elsewhere, or out of TLS.
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str = "", params: Mapping[str, Any] | None = None) -> Answer:
        """Ask until there is a whole answer.

        Args:
            path: Relative to the base, or an absolute address on the same service.
            params: Of the query.

        Raises:
            CircuitOpenError: the service is being left alone.
            SourceUnavailableError: no whole answer after all attempts.
            SourceRefusedError: the service will not answer this question.
        """
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

        url = self._address(path)
        backoff = wait_exponential_jitter(initial=0.5, max=MAX_WAIT_SECONDS / 2, jitter=0.5)

        def wait(state: Any) -> float:
            asked: float = state.outcome.exception().wait
            return max(asked, backoff(state)) if asked else backoff(state)

        attempts = Retrying(
            retry=retry_if_exception_type(_TryAgainError),
            stop=stop_after_attempt(self._attempts),
            wait=wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            answer: Answer = attempts(self._breaker.call, lambda: self._once(url, params))
        except _TryAgainError as error:
            raise SourceUnavailableError(
                f"{self._origin} gave no whole answer in {self._attempts} attempts.",
                why=f"The last one: {error}",
                fix="Try again later; `lakehouse health` shows its circuit.",
            ) from error
        return answer

    def _address(self, path: str) -> str:
        url = urljoin(f"{self._base_url.rstrip('/')}/", path) if path else self._base_url
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != self._origin:
            raise SourceRefusedError(
                f"{self._origin} sends us on to {parts.scheme}://{parts.netloc}.",
                why="Our credentials are for the first one only.",
                fix="Name the right address in the source's file.",
            )
        return url

    def _once(self, url: str, params: Mapping[str, Any] | None) -> Answer:
        import httpx

        deadline = time.monotonic() + self._limits.total
        # Merged, so that what a link to the next page holds already stays there.
        address = httpx.URL(url).copy_merge_params({**(params or {}), **self._credentials.params})
        try:
            with ExitStack() as stack:
                response = stack.enter_context(self._client.stream("GET", address))
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > MAX_BODY_BYTES:
                        raise SourceRefusedError(f"{self._origin} answers with more than {MAX_BODY_BYTES >> 20} MiB.")
                    if time.monotonic() > deadline:
                        raise _TryAgainError(f"no whole answer within {self._limits.total:g} s")
                _require_success(response, self._origin)
                return Answer(parse_json(bytes(body)), _next_link(response))
        except httpx.TransportError as error:
            # Refused connections, time limits, bodies that end too early.
            if _is_certificate_error(error):
                raise SourceRefusedError(
                    f"{self._origin} cannot prove who it is.", why=str(error), fix="Set SSL_CERT_FILE to its authority."
                ) from error
            raise _TryAgainError(str(error) or type(error).__name__) from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise _TryAgainError(f"no valid JSON: {error}") from error


def _speaks_against(error: Exception) -> bool:
    """A refusal proves that the service answers; so does "too many requests"."""
    return error.is_outage if isinstance(error, _TryAgainError) else not isinstance(error, LakehouseError)


def _require_success(response: "httpx.Response", origin: str) -> None:
    status = response.status_code
    said = f"{origin} answers {status} {response.reason_phrase} to GET {response.url.path}"
    if status in _BUSY or status >= _SERVER_ERROR:
        wait = _asked_wait(response.headers.get("retry-after", ""))
        if wait > MAX_WAIT_SECONDS:
            raise SourceUnavailableError(
                f"{said} and asks for a pause of {wait:.0f} s.", fix="Ask again after that time."
            )
        raise _TryAgainError(said, wait=wait, is_outage=status >= _SERVER_ERROR)
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


def _next_link(response: "httpx.Response") -> str | None:
    url = response.links.get("next", {}).get("url")
    return None if url is None else urljoin(str(response.url), url)


def _is_certificate_error(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
