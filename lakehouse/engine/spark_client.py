"""What has to be put right in pyspark's Connect client.

Here: its helper threads, its log, its memory, tokens on this machine, settings, rows as an Arrow table. Not here:
sessions (`engine.spark`).
"""

import logging
import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

_LOGGER = "pyspark.sql.connect.logging"
_ITS_LEVEL = "SPARK_CONNECT_LOG_LEVEL"
_LOOPBACK = "127.0.0.1"


def put_right() -> None:
    """Keep the client's helper threads, keep it and its memory small, let it send tokens here; may be called again."""
    import pyarrow as pa
    from pyspark.sql.connect.client.core import DefaultChannelBuilder
    from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator

    # All sessions of a process share one pool of helper threads, and pyspark 4.0 ends it when any of them is closed:
    # a query in another thread fails meanwhile, and a session that the garbage collector closes in the middle of a call
    # to the pool waits for itself for ever. The threads are few and idle; they end with the process.
    ExecutePlanResponseReattachableIterator.shutdown = classmethod(_keep_helper_threads)
    # What these threads could not give back before its session ended is let go by the server. The client would tell,
    # and is silent unless it is asked to speak; but Dagster sets up logging anew at each step, which wakes it.
    if _ITS_LEVEL not in os.environ:
        logging.getLogger(_LOGGER).setLevel(logging.CRITICAL)
    # Arrow's own allocator keeps what the threads of a micro-batch have held when they end: 80 KB for each.
    pa.set_memory_pool(pa.system_memory_pool())
    # With a token it demands TLS of every host but one called `localhost`. That name has two addresses, and whoever
    # listens on the other one would be told our token.
    if not hasattr(DefaultChannelBuilder.toChannel, "__wrapped__"):
        DefaultChannelBuilder.toChannel = _trusting_loopback(DefaultChannelBuilder.toChannel)


def set_all(session: "SparkSession", settings: Mapping[str, str]) -> None:
    """Tell the session all settings in one message; `conf.set` sends one for each, thirteen for a new session."""
    session.conf._set_all(dict(settings), silent=False)


def fetched(rows: "DataFrame") -> "pa.Table":
    """The rows as `toArrow` gives them, which first has the server analyse the whole plan to learn their columns.

    The answer tells the columns, too, and to analyse the plan of a small step takes as long as to run it.
    """
    from pyspark.sql.pandas.types import to_arrow_schema

    table, schema = rows._to_table()
    return table.cast(to_arrow_schema(schema, error_on_duplicated_field_names_in_struct=True))


def _keep_helper_threads(cls: Any) -> None:
    """Replacement for pyspark's `shutdown`, which every closed session calls."""


def _trusting_loopback(to_channel: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`toChannel` of pyspark, which opens a channel, but 127.0.0.1 needs no TLS for a token to be sent there."""

    @wraps(to_channel)
    def opened(builder: Any) -> Any:
        import grpc

        if builder.host != _LOOPBACK or builder.use_ssl or builder.token is None:
            return to_channel(builder)
        # gRPC makes sure itself that the peer is on this machine.
        token = grpc.access_token_call_credentials(builder.token)
        local = grpc.local_channel_credentials(grpc.LocalConnectionType.LOCAL_TCP)
        return builder._secure_channel(builder.endpoint, grpc.composite_channel_credentials(local, token))

    return opened
