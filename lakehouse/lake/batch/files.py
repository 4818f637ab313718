"""Files that a pipeline delivers: a folder per pipeline, a file per window, replaced as a whole.

Here: their names, writing them. Not here: what is in them (`deliver`, `train`).
"""

import os
from pathlib import Path

from lakehouse.lake.batch.run import StepContext


def window_file(context: StepContext, kind: str, ending: str) -> Path:
    """`<LAKEHOUSE_HOME>/<kind>/<pipeline>/<window>.<ending>`, its folder made; some systems allow no colon."""
    folder = context.settings.home / kind / context.pipeline.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{context.window.key.replace(':', '')}.{ending}"


def replace(path: Path, content: bytes) -> None:
    """Readers see the old file or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
