"""A drain in a process of its own, to be killed: `python -m lakehouse.lake.soak.worker CONTRACT.json`.

Here: the process. Not here: when it dies (LAKEHOUSE_CRASH_AT), who starts it (`soak.run`).
"""

import signal
import sys
from pathlib import Path

from lakehouse.contracts.model import StreamContract
from lakehouse.errors import LakehouseError
from lakehouse.lake.drain import drain
from lakehouse.settings import load_settings


def main() -> None:
    """Drain once; end with the error's exit code when the drain stops."""
    # A shell lets what it runs in the background ignore it, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    contract = StreamContract.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    settings = load_settings()
    try:
        drain(contract, settings, budget_seconds=settings.drain_budget_seconds, idle_seconds=0)
    except LakehouseError as error:
        sys.stderr.write(f"{error.code}: {error.problem}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
