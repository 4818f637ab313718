"""Sessions on a Spark Connect server, embedded or remote: one way to connect, one error when it goes away.

Here: sessions, waiting for the port, translating a lost connection. Not here: their settings (`engine.profiles`),
what is done with a session.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, get_args
from weakref import WeakKeyDictionary

from lakehouse.engine import java_archive
from lakehouse.engine.profiles import Profile, session_conf
from lakehouse.engine.spark_address import address, shown
from lakehouse.engine.spark_client import put_right, set_all
from lakehouse.engine.storage import storage_error
from lakehouse.errors import AccessDeniedError, BatchConflictError, BrokerUnreachableError, SparkUnreachableError
from lakehouse.settings import load_settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Below this many rows a query is all planning: Java text for every projection of every task, plans made anew between
# its stages, and tasks for empty partitions cost more than the rows do.
MANY_ROWS = 50_000
# A query that is asked again and again in the same words, as those of micro-batches are: it is compiled once for all of
# them, so compiled code is the faster one from here on.
MANY_ROWS_AGAIN = 5_000
# A query that is asked once: what compiled code would save, it costs to compile.
MANY_ROWS_ONCE = 500_000
_FOR_FEW_ROWS = {
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
}
_FOR_MANY_ROWS: dict[Profile, dict[str, str]] = {
    profile: {"spark.sql.codegen.factoryMode": "FALLBACK"}
    | {name: session_conf(profile)[name] for name in ("spark.sql.adaptive.enabled", "spark.sql.shuffle.partitions")}
    for profile in get_args(Profile)
}
_profile: "WeakKeyDictionary[SparkSession, Profile]" = WeakKeyDictionary()
# What each session was last told, so that a stream of small batches does not tell it every time.
_told: "WeakKeyDictionary[SparkSession, dict[str, str]]" = WeakKeyDictionary()

# Marks of a session whose server died or was started anew; its temporary views and settings are gone with it.
_LOST = (
    "UNAVAILABLE",
    "INVALID_HANDLE.SESSION_NOT_FOUND",
    "INVALID_HANDLE.SESSION_CHANGED",
    "INVALID_HANDLE.SESSION_CLOSED",
    "INVALID_HANDLE.OPERATION_NOT_FOUND",
    "RETRIES_EXCEEDED",
    # What pyspark says when a retry of the lost call met the server's successor, which does not know the session.
    "NO_ACTIVE_SESSION",
    "Stream removed",
    "Socket closed",
)

# What Spark's Kafka source and sink say after waiting for the broker in vain, once its own patience of 60 s or 120 s is
# over.
_BROKER_SILENT = ("org.apache.kafka.common.errors.TimeoutException", "Cannot fetch record for offset")

# What Delta says to the writer that came second; also when both were making the table.
_LOST_RACE = ("[DELTA_CONCURRENT_", "[DELTA_PROTOCOL_CHANGED", "[DELTA_METADATA_CHANGED", "[DELTA_TABLE_ALREADY_EXISTS")

# Read by the server and by its clients alike.
TOKEN_VARIABLE = "SPARK_CONNECT_AUTHENTICATE_TOKEN"  # noqa: S105 - the name of a variable
_REFUSED = "UNAUTHENTICATED"

# Names of Kafka's exceptions for a broker that does not let Spark in, or not read or write this topic.
_ACCESS_DENIED = (
    "TopicAuthorizationException",
    "GroupAuthorizationException",
    "ClusterAuthorizationException",
    "SaslAuthenticationException",
    "SslAuthenticationException",
)


def connect(remote: str, *, timeout_seconds: float = 60) -> "SparkSession":
    """Open a new session with our settings, once the server accepts connections.

    Args:
        remote: `sc://host:port`, with any parameters that Spark Connect knows.
        timeout_seconds: How long to wait for the server.

    Raises:
        SparkUnreachableError: the server does not answer within the time.
    """
    wait_for_port(remote, timeout_seconds)
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client.retries import DefaultPolicy

    put_right()
    with spark_errors(remote):
        session = SparkSession.builder.remote(remote).create()
        # The default policy waits ten minutes for a dead server; a supervised one is back within seconds, and
        # our callers plan again by themselves.
        session.client.set_retry_policies([DefaultPolicy(max_retries=4, max_backoff=2000)])
        _profile[session] = load_settings().spark_profile
        try:
            set_all(session, session_conf(_profile[session]))
            java_archive.lend(session)
        except BaseException:
            # pyspark would go on asking it about other sessions' frames. The server that failed is not told.
            session.release_session_on_close = False
            session.stop()
            raise
    return session


def expect_rows(session: "SparkSession", rows: int, *, many: int = MANY_ROWS) -> None:
    """Tell the session how many rows its next queries are about: few are planned plainly, many are compiled for.

    Args:
        session: The session.
        rows: Rows that a query reads.
        many: From how many on it is worth compiling: one of the constants above.
    """
    wanted = _FOR_FEW_ROWS if rows < many else _FOR_MANY_ROWS[_profile.get(session, "local")]
    if _told.get(session) is wanted:
        return
    set_all(session, wanted)
    _told[session] = wanted


def materialised(frame: "DataFrame") -> "DataFrame":
    """The rows of a DataFrame, computed once when first needed and kept on the server until the result is let go."""
    held = frame.localCheckpoint(eager=False)
    # pyspark 4.0 hands the result to the first session of the thread, which may be another one; then the server does
    # not find it. Not needed once the result belongs to the frame's own session.
    held._session = held._plan._spark_session = frame.sparkSession
    return held


def ask(remote: str, timeout_seconds: float) -> float:
    """Run `select 1` on the server; return the seconds it took.

    Raises:
        SparkUnreachableError: no session or no answer.
    """
    started = time.monotonic()
    session = connect(remote, timeout_seconds=timeout_seconds)
    with spark_errors(remote):
        try:
            session.sql("select 1").collect()
        finally:
            session.stop()
    return time.monotonic() - started


@contextmanager
def spark_errors(remote: str = "") -> Iterator[None]:
    """Turn what may pass by itself into typed errors; other errors pass unchanged.

    Raises:
        SparkUnreachableError: the server, or our session on it, is gone.
        BatchConflictError: another writer committed to the same Delta table first; nothing of ours was committed.
        AccessDeniedError: Kafka does not let Spark read or write a topic, or Spark does not let us in.
        DiskFullError: no space was left for what was to be written.
        SetupError: what was to be written may not be written.
        BrokerUnreachableError: the broker did not answer Spark.
    """
    import grpc
    from pyspark.errors import PySparkException

    try:
        yield
    except (grpc.RpcError, PySparkException) as error:
        if is_lost_race(error):
            raise BatchConflictError(
                "Another writer committed to the same table first.",
                why=_first_line(error),
                fix="Nothing: what was to be written is planned again.",
            ) from error
        if any(mark in str(error) for mark in _ACCESS_DENIED):
            raise AccessDeniedError(
                "Kafka denies access to Spark.",
                why=next(mark for mark in _ACCESS_DENIED if mark in str(error)),
                fix="Check KAFKA_SECURITY_PROTOCOL, user, certificates and ACLs (docs/runbooks/ACCESS_DENIED.md).",
            ) from error
        if _REFUSED in str(error):
            raise AccessDeniedError(
                f"Spark{' at ' + shown(remote) if remote else ''} denies access.",
                why="The server asks for a token, and ours is missing or another one.",
                fix=f"For the embedded server leave SPARK_REMOTE unset. Else set {TOKEN_VARIABLE}, or "
                "SPARK_REMOTE=sc://host:port/;token=… (docs/setup_guide.md, Access).",
            ) from error
        refused = storage_error(error)
        if refused is not None:
            raise refused from error
        if any(mark in str(error) for mark in _BROKER_SILENT):
            raise BrokerUnreachableError(
                "The Kafka broker did not answer Spark in time; the batch at hand was not committed.",
                why=_first_line(error),
                fix="It is tried again by itself. See `lakehouse status`; Spark needs KAFKA_BOOTSTRAP_SERVERS too.",
            ) from error
        if not is_connection_loss(error):
            raise
        raise SparkUnreachableError(
            f"Spark{' at ' + shown(remote) if remote else ''} went away in the middle of the work.",
            why=_first_line(error),
            fix="What was committed stays. See `lakehouse status`; once Spark is back, run the same command again.",
        ) from error


def is_connection_loss(error: BaseException) -> bool:
    """Does the error, or what caused it, say that the server or our session on it is gone?"""
    seen: BaseException | None = error
    while seen is not None:
        text = f"{type(seen).__name__} {seen}"
        if any(mark in text for mark in _LOST):
            return True
        seen = seen.__cause__
    return False


def is_lost_race(error: BaseException) -> bool:
    """Did Delta refuse a commit because another one came first?"""
    return any(mark in str(error) for mark in _LOST_RACE)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__


def wait_for_port(remote: str, timeout_seconds: float) -> None:
    """Wait until the server's port accepts connections.

    A gRPC client that calls before the port is open backs off for up to 20 s; a plain socket does not.

    Raises:
        SparkUnreachableError: it did not within the time.
    """
    host, port = address(remote)
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=max(0.2, min(2.0, timeout_seconds))).close()
        except OSError as error:
            if time.monotonic() >= deadline:
                raise SparkUnreachableError(
                    f"No Spark Connect server answers at {shown(remote)}.",
                    why=f"{error.strerror or error} (waited {timeout_seconds:g} s)",
                    fix="Start it: lakehouse up. Or set SPARK_REMOTE to your server.",
                ) from error
            time.sleep(0.1)
        else:
            return
