"""A drain in a process of its own, to be killed: `python -m lakehouse_tests.faults.worker CONTRACT.json`."""

import sys
from pathlib import Path

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.drain import drain
from lakehouse.settings import load_settings


def main() -> None:
    """Drain once, printing each commit."""
    contract = StreamContract.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    drain(
        contract,
        load_settings(),
        budget_seconds=240,
        idle_seconds=0,
        report=lambda done: print(done.layer, done.batch, done.rows, flush=True),
    )


if __name__ == "__main__":
    main()
