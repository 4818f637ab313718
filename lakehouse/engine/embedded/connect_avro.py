"""The Avro converter of the embedded Kafka Connect: a plugin of its own, for `up --with cdc --with registry`.

Here: its jars' lock, its plugin folder. Not here: what a connector says to use it (`kafka.connectors`).
Confluent's converter is not on Maven Central; Apicurio's is, and writes the same wire format when it is told to.
The lock is made anew by `python -m lakehouse.engine.embedded.connect_avro --lock`, after a version below has changed.
"""

import sys
import zipfile
from pathlib import Path

from lakehouse.engine.embedded import connect_jars, jars
from lakehouse.settings import PROJECT_ROOT

LOCK_FILE = PROJECT_ROOT / "infra" / "connect" / "avro.lock"
AVRO = "avro"
CONVERTER = "io.apicurio.registry.utils.converter.AvroConverter"
# The newest whose parent is on Maven Central. It speaks the registry's older protocol, which 3.3 still answers to.
TRANSITIVE = {AVRO: ["io.apicurio:apicurio-registry-utils-converter:2.6.13.Final"]}
MANIFEST = "converter-manifest.jar"
_SERVICE = "META-INF/services/org.apache.kafka.connect.storage.Converter"


def write_manifest(folder: Path) -> None:
    """Connect finds plugins by the lists that they bring; this one brings none."""
    with zipfile.ZipFile(folder / MANIFEST, "w") as archive:
        archive.writestr(_SERVICE, CONVERTER + "\n")


def make_lock() -> int:
    """Resolve the version named above and write the lock anew, without what Connect has; return the number of jars."""
    provided = [jar.coordinate for jar in jars.read_lock(connect_jars.LOCK_FILE)[connect_jars.CONNECT]]
    return jars.make_lock(
        LOCK_FILE,
        transitive=TRANSITIVE,
        flat={AVRO: []},
        present={AVRO: provided},
        made_by="lakehouse.engine.embedded.connect_avro",
    )


if __name__ == "__main__" and sys.argv[1:] == ["--lock"]:
    sys.stdout.write(f"{LOCK_FILE}: {make_lock()} jars\n")
