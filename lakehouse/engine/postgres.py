"""Connections to PostgreSQL, embedded or not: one way to connect, typed errors for what may pass by itself.

Here: connecting, translating errors, showing addresses without passwords. Not here: any statement.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from lakehouse.engine.encryption import require_encrypted
from lakehouse.errors import AccessDeniedError, DatabaseUnreachableError, DiskFullError, UsageError
from lakehouse.settings import load_settings

if TYPE_CHECKING:
    from psycopg import Connection

Work = TypeVar("Work", bound=Callable[..., Any])

_PATIENCE_SECONDS = 30.0
# SQLSTATE classes and codes of a server that is going, gone, coming or full of clients.
_GONE = ("08", "57P01", "57P02", "57P03", "53300")
# Values of sslmode that never fall back to plain text.
_ENCRYPTING = ("require", "verify-ca", "verify-full")
_REFUSED = ("28000", "28P01", "3D000", "42501")


@contextmanager
def connect(url: str, *, timeout_seconds: float = 10) -> "Iterator[Connection[Any]]":
    """A connection in UTC, each statement its own transaction unless a block says otherwise; closed at the end.

    Raises:
        DatabaseUnreachableError: nobody answers, or the server went away within the block.
        AccessDeniedError: it does not let us in, or not do this.
        DiskFullError: its disk is full.
        UsageError: the address is none.
        SettingsError: the connection would leave this machine in plain text, and LAKEHOUSE_REQUIRE_TLS is on.
    """
    import psycopg

    with postgres_errors(url):
        _require_encrypted(url)
        with psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=max(2, round(timeout_seconds)),
            application_name="lakehouse",
            options="-c timezone=UTC -c datestyle=ISO",
        ) as connection:
            yield connection


def again_while_away(*also: type[Exception]) -> Callable[[Work], Work]:
    """Do work anew, for half a minute, while the server does not answer or the work ends with one of `also`."""
    again: Any = retry(
        retry=retry_if_exception_type((DatabaseUnreachableError, *also)),
        stop=stop_after_delay(_PATIENCE_SECONDS),
        wait=wait_random_exponential(multiplier=0.2, max=3),
        reraise=True,
    )
    decorate: Callable[[Work], Work] = again
    return decorate


def _require_encrypted(url: str) -> None:
    from psycopg.conninfo import conninfo_to_dict

    said = conninfo_to_dict(url)
    mode = said.get("sslmode") or os.environ.get("PGSSLMODE")
    for host in str(said.get("host") or "localhost").split(","):
        # A path is a socket of this machine.
        if not host.startswith("/"):
            require_encrypted(
                load_settings(),
                what=f"PostgreSQL at {shown(url)}",
                host=host,
                is_encrypted=mode in _ENCRYPTING,
                fix="Add sslmode=verify-full to the address (or require, without a look at the certificate).",
            )


@contextmanager
def postgres_errors(url: str) -> Iterator[None]:
    """Turn what the user can act on into typed errors; others pass unchanged. Raises as `connect`."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        state = error.sqlstate or ""
        why = " ".join(str(error).split())[:300]
        if state.startswith(_REFUSED) or (not state and "password authentication failed" in why):
            raise AccessDeniedError(
                f"PostgreSQL at {shown(url)} denies access.",
                why=why,
                fix="Check user, password, database and rights of LAKEHOUSE_POSTGRES_URL or LAKEHOUSE_SOURCE_URL.",
            ) from error
        if state == "53100":
            raise DiskFullError(
                f"The disk of PostgreSQL at {shown(url)} is full; nothing of this load was committed.",
                why=why,
                fix="Free space on the server, then run the same command again.",
            ) from error
        if isinstance(error, psycopg.ProgrammingError) and not state:
            raise UsageError(
                f"{shown(url)} is no address of a PostgreSQL.",
                why=why,
                fix="Write postgresql://user@host:port/database.",
            ) from error
        if state.startswith(_GONE) or (not state and isinstance(error, psycopg.OperationalError)):
            raise DatabaseUnreachableError(
                f"PostgreSQL at {shown(url)} does not answer, or went away in the middle of the work.",
                why=why,
                fix="See `lakehouse status`, or start it: lakehouse up --with postgres. What was committed stays.",
            ) from error
        raise


def shown(url: str) -> str:
    """`host:port/database` of an address, without user, password and parameters."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "the given address"
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
