"""Java archives of Kafka Connect and Debezium: a lock of their own, because only `up --with cdc` needs them.

Here: versions, the lock's place. Not here: locking and downloading (`jars`), the process (`connect`).
The lock is made anew by `python -m lakehouse.engine.embedded.connect_jars --lock`, after a version below has changed.
"""

import sys

from lakehouse.engine.embedded import jars
from lakehouse.settings import PROJECT_ROOT

LOCK_FILE = PROJECT_ROOT / "infra" / "connect" / "jars.lock"
CONNECT = "connect"
DEBEZIUM = "debezium"

TRANSITIVE: dict[str, list[str]] = {
    CONNECT: ["org.apache.kafka:connect-runtime:4.3.0", "org.apache.kafka:connect-json:4.3.0"],
    DEBEZIUM: ["io.debezium:debezium-connector-postgres:3.6.3.Final"],
}
# slf4j-impl, not slf4j2-impl: Connect brings slf4j 1.7.
FLAT: dict[str, list[str]] = {
    CONNECT: [
        "org.apache.logging.log4j:log4j-api:2.25.4",
        "org.apache.logging.log4j:log4j-core:2.25.4",
        "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
    ],
    DEBEZIUM: [],
}
# A plugin that brings what Connect has already doubles the memory that it needs.
PROVIDED = {DEBEZIUM: CONNECT}


def make_lock() -> int:
    """Resolve the versions named above and write the lock anew; return the number of jars."""
    return jars.make_lock(
        LOCK_FILE,
        transitive=TRANSITIVE,
        flat=FLAT,
        provided=PROVIDED,
        made_by="lakehouse.engine.embedded.connect_jars",
    )


if __name__ == "__main__" and sys.argv[1:] == ["--lock"]:
    sys.stdout.write(f"{LOCK_FILE}: {make_lock()} jars\n")
