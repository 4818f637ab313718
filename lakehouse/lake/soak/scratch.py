"""Where a soak takes place: a broker, a Spark and a lake of its own in a temporary folder, and a stream made for it.

Here: starting, stopping, restarting the broker; the contract under another name. Not here: what is done there
(`soak.run`).
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from lakehouse.contracts.model import StreamContract
from lakehouse.engine.embedded import ports
from lakehouse.engine.embedded import stack as embedded
from lakehouse.errors import SetupError
from lakehouse.settings import Settings, load_settings

_NAME_CHARACTERS = 63
_TOPIC_CHARACTERS = 190
_MOST_PARTITIONS = 12
_GONE_SECONDS = 30.0


def on_scratch(contract: StreamContract) -> tuple[StreamContract, list[str]]:
    """The user's stream under another name and topic, and what had to be bent for a proof on one broker."""
    notes = []
    partitions = min(contract.topic.partitions, _MOST_PARTITIONS)
    if partitions < contract.topic.partitions:
        notes.append(f"the topic has {partitions} partitions instead of {contract.topic.partitions}")
    stopping = [rule.name for rule in contract.rules if rule.severity == "fail"]
    stopping += [rule.name for rule in contract.table_rules if rule.severity == "fail"]
    if stopping:
        # A stop on purpose is right, and would end the proof at the first broken event.
        notes.append(f"rules of severity fail do not stop here: {', '.join(stopping)}")
    topic = contract.topic.model_copy(
        update={
            "name": f"prove_{contract.topic.name}"[:_TOPIC_CHARACTERS],
            "partitions": partitions,
            "replication_factor": 1,
            "config": {k: v for k, v in contract.topic.config.items() if k != "min.insync.replicas"},
        }
    )
    rules = [r.model_copy(update={"severity": "error"}) if r.severity == "fail" else r for r in contract.rules]
    table_rules = [
        r.model_copy(update={"severity": "warn"}) if r.severity == "fail" else r for r in contract.table_rules
    ]
    changes = {
        "name": f"prove_{contract.name}"[:_NAME_CHARACTERS],
        "topic": topic,
        "rules": rules,
        "table_rules": table_rules,
    }
    return contract.model_copy(update=changes), notes


class Scratch:
    """The running stack of a soak.

    Attributes:
        settings: With which everything works there.
        kept: Set to keep the folder, for a look at what went wrong.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.kept = False

    def environment(self) -> dict[str, str]:
        """Variables with which a process works on this stack and this lake, whatever it was started with."""
        return {
            **os.environ,
            "LAKEHOUSE_HOME": str(self.settings.home),
            "LAKEHOUSE_ROOT": self.settings.lake_root,
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_bootstrap_servers,
            "SPARK_REMOTE": self.settings.spark_remote,
        }

    def restart_broker(self) -> None:
        """Kill the broker, as a machine that loses it, and wait until its supervisor has it back.

        Raises:
            SetupError: it does not come back.
        """
        broker = next((entry for entry in embedded.status(self.settings) if entry.name == "kafka" and entry.pid), None)
        if broker is None:
            raise SetupError("The scratch broker is not there.", fix=f"Read {self.settings.home / 'logs'}.")
        psutil.Process(broker.pid).kill()
        deadline = time.monotonic() + _GONE_SECONDS
        while any(entry.pid == broker.pid for entry in embedded.status(self.settings)):
            if time.monotonic() > deadline:
                raise SetupError(f"The killed broker, pid {broker.pid}, does not go away.")
            time.sleep(0.05)
        embedded.start(self.settings, owner_pid=os.getpid())


@contextmanager
def scratch(say: Callable[[str], None]) -> Iterator[Scratch]:
    """Start a stack of its own; stops and removes it afterwards, also when the start is interrupted.

    Raises:
        SetupError: it does not start.
    """
    home = Path(tempfile.mkdtemp(prefix="lakehouse-prove-"))
    kafka_port = ports.any_free(set())
    wanted = load_settings(
        LAKEHOUSE_HOME=home,
        LAKEHOUSE_ROOT=str(home / "lake"),
        LAKEHOUSE_KAFKA_PORT=kafka_port,
        LAKEHOUSE_SPARK_PORT=ports.any_free({kafka_port}),
    )
    place = None
    try:
        say(f"starting a broker and Spark in {home}")
        # The stack ends by itself when this process is killed.
        addresses = {entry.name: entry.url for entry in embedded.start(wanted, owner_pid=os.getpid())}
        place = Scratch(
            wanted.model_copy(
                update={"kafka_bootstrap_servers": addresses["kafka"], "spark_remote": addresses["spark"]}
            )
        )
        yield place
    finally:
        embedded.stop(wanted)
        if place is not None and place.kept:
            say(f"kept for a look: {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)
