"""A second, plain reading of recorded exchange feeds, to hold the real one against."""

import gzip
import json
from pathlib import Path
from typing import Any


def raw_messages(path: Path) -> list[dict[str, Any]]:
    """Every received message, in order."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line.split(": ", 1)[1]) for line in stream if line[0].isdigit()]
