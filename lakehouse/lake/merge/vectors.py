"""Deletion vectors: which rows of a data file are no part of the table any more.

Here: Delta's format of them, read and written (Delta protocol, "Deletion Vectors"). Not here: which rows (`rivals`).
"""

import base64
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lakehouse.errors import LogDamagedError
from lakehouse.lake.ledger import B85_TO_Z85, Z85_TO_B85, files_of

if TYPE_CHECKING:
    from pyroaring import BitMap64

_VERSION = b"\x01"
_MAGIC = struct.pack("<i", 1681511377)


def read_vector(table: Path, add: Mapping[str, Any]) -> "BitMap64":
    """The rows that are hidden already in the file behind an `add`; empty when none are.

    Raises:
        LogDamagedError: the vector's bytes are not what its checksum says.
    """
    from pyroaring import BitMap64

    vector = add.get("deletionVector")
    if not vector:
        return BitMap64()
    if vector["storageType"] == "i":
        data = base64.b85decode(vector["pathOrInlineDv"].translate(Z85_TO_B85))[: vector["sizeInBytes"]]
    else:
        file = table / files_of(dict(add))[1] if vector["storageType"] == "u" else Path(vector["pathOrInlineDv"])
        data = _checked(file, vector.get("offset") or 0)
    return BitMap64.deserialize(data[len(_MAGIC) :])


def write_vectors(table: Path, vectors: Mapping[str, "BitMap64"]) -> dict[str, dict[str, Any]]:
    """Write vectors into one new file in the table's folder; returns each one's descriptor under its own name."""
    number = uuid4()
    descriptors = {}
    with (table / f"deletion_vector_{number}.bin").open("xb") as file:
        file.write(_VERSION)
        for name, rows in vectors.items():
            data = _MAGIC + rows.serialize()
            descriptors[name] = {
                "storageType": "u",
                "pathOrInlineDv": base64.b85encode(number.bytes).decode().translate(B85_TO_Z85),
                "offset": file.tell(),
                "sizeInBytes": len(data),
                "cardinality": len(rows),
            }
            file.write(struct.pack(">i", len(data)) + data + struct.pack(">I", zlib.crc32(data)))
    return descriptors


def _checked(file: Path, offset: int) -> bytes:
    with file.open("rb") as stored:
        stored.seek(offset)
        (size,) = struct.unpack(">i", stored.read(4))
        data = stored.read(size)
        checksum = stored.read(4)
    if len(data) != size or checksum != struct.pack(">I", zlib.crc32(data)):
        raise LogDamagedError(
            f"The deletion vector at {offset} of {file} is torn.",
            why="The machine or the disk failed while it was written.",
            fix="See docs/runbooks/LOG_DAMAGED.md.",
        )
    return data
