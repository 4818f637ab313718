"""What has to be put right in pyspark's Connect client before its first session.

Here: its helper threads, its log. Not here: sessions (`engine.spark`).
"""

import logging
import os
from typing import Any

_LOGGER = "pyspark.sql.connect.logging"
_ITS_LEVEL = "SPARK_CONNECT_LOG_LEVEL"


def put_right() -> None:
    """Keep the client's helper threads, and keep it silent; may be called again."""
    from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator

    # All sessions of a process share one pool of helper threads, and pyspark 4.0 ends it when any of them is closed:
    # a query in another thread fails meanwhile, and a session that the garbage collector closes in the middle of a call
    # to the pool waits for itself for ever. The threads are few and idle; they end with the process.
    ExecutePlanResponseReattachableIterator.shutdown = classmethod(_keep_helper_threads)
    # What these threads could not give back before its session ended is let go by the server. The client would tell,
    # and is silent unless it is asked to speak; but Dagster sets up logging anew at each step, which wakes it.
    if _ITS_LEVEL not in os.environ:
        logging.getLogger(_LOGGER).setLevel(logging.CRITICAL)


def _keep_helper_threads(cls: Any) -> None:
    """Replacement for pyspark's `shutdown`, which every closed session calls."""
