"""Asking an HTTP service for JSON or a file: time limits, retries with back-off, a circuit breaker, TLS where required.

Here: one question and its whole answer. Not here: what an answer means for the next attempt (`sources.http_faults`),
pages and records (`sources.rest`), which services there are (`sources.api_config`).
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urljoin, urlsplit

from lakehouse.engine.circuit_notes import kept_breaker
from lakehouse.engine.encryption import require_encrypted
from lakehouse.errors import SourceRefusedError, SourceUnavailableError
from lakehouse.settings import Settings
from lakehouse.sources.http_faults import (
    MAX_WAIT_SECONDS,
    TryAgainError,
    is_certificate_error,
    next_link,
    require_success,
    speaks_against,
)
from lakehouse.sources.raw_json import parse_json

if TYPE_CHECKING:
    import httpx

MAX_BODY_BYTES = 64 << 20
_NOT_MODIFIED = 304
Result = TypeVar("Result")


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
class Download:
    """A whole file as the service has it, byte for byte; `content` is None when it is as it was (304).

    `tags` are the headers to ask with the next time, so that a file that did not change is not sent again.
    """

    content: bytes | None
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Credentials:
    """What proves who we are; never shown."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)


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
        self._breaker = kept_breaker(settings, f"api {self._origin}", is_failure=speaks_against)
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
        url = self._address(path)

        def once() -> Answer:
            response, body = self._once(url, params or {}, {})
            try:
                return Answer(parse_json(body), next_link(response))
            except (json.JSONDecodeError, UnicodeDecodeError) as error:
                raise TryAgainError(f"no valid JSON: {error}") from error

        return self._until_whole(once)

    def download(self, path: str, tags: Mapping[str, str] | None = None) -> Download:
        """Fetch a file until it is there whole: as many bytes as its Content-Length says.

        Args:
            path: Relative to the base.
            tags: `Download.tags` of the last time; asks for the file only if it changed.

        Raises:
            CircuitOpenError, SourceUnavailableError, SourceRefusedError: as `get`.
        """
        url = self._address(path)

        def once() -> Download:
            # Unpacked on the way, its length would say nothing.
            response, body = self._once(url, {}, {"accept": "*/*", "accept-encoding": "identity", **(tags or {})})
            if response.status_code == _NOT_MODIFIED:
                return Download(None, tags or {})
            if not {"content-length", "transfer-encoding"} & set(response.headers):
                raise TryAgainError("the answer does not say how long it is, so nobody knows whether it is whole")
            names = {"etag": "if-none-match", "last-modified": "if-modified-since"}
            return Download(body, {names[key]: response.headers[key] for key in names if key in response.headers})

        return self._until_whole(once)

    def _until_whole(self, once: Callable[[], Result]) -> Result:
        """Try until an attempt succeeds, through the circuit."""
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

        backoff = wait_exponential_jitter(initial=0.5, max=MAX_WAIT_SECONDS / 2, jitter=0.5)

        def wait(state: Any) -> float:
            asked: float = state.outcome.exception().wait
            return max(asked, backoff(state)) if asked else backoff(state)

        attempts = Retrying(
            retry=retry_if_exception_type(TryAgainError),
            stop=stop_after_attempt(self._attempts),
            wait=wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            answer: Result = attempts(self._breaker.call, once)
        except TryAgainError as error:
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

    def _once(self, url: str, params: Mapping[str, Any], headers: Mapping[str, str]) -> "tuple[httpx.Response, bytes]":
        """One attempt: a successful answer, or 304 to a question with conditions, and its whole body."""
        import httpx

        deadline = time.monotonic() + self._limits.total
        # Merged, so that what a link to the next page holds already stays there.
        address = httpx.URL(url).copy_merge_params({**params, **self._credentials.params})
        try:
            with self._client.stream("GET", address, headers=dict(headers)) as response:
                body = bytearray()
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > MAX_BODY_BYTES:
                        raise SourceRefusedError(f"{self._origin} answers with more than {MAX_BODY_BYTES >> 20} MiB.")
                    if time.monotonic() > deadline:
                        raise TryAgainError(f"no whole answer within {self._limits.total:g} s")
                if response.status_code != _NOT_MODIFIED or not any(name.startswith("if-") for name in headers):
                    require_success(response, self._origin)
                return response, bytes(body)
        except httpx.TransportError as error:
            # Refused connections, time limits, bodies that end too early.
            if is_certificate_error(error):
                raise SourceRefusedError(
                    f"{self._origin} cannot prove who it is.", why=str(error), fix="Set SSL_CERT_FILE to its authority."
                ) from error
            raise TryAgainError(str(error) or type(error).__name__) from error
