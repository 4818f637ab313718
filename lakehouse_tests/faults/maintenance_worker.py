"""Maintenance in a process of its own, to be killed: `python -m …faults.maintenance_worker CONTRACT.json`."""

import sys
from pathlib import Path

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.maintenance.upkeep import maintain_stream
from lakehouse.settings import load_settings


def main() -> None:
    """Maintain the stream's tables once."""
    contract = StreamContract.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    maintain_stream(contract, load_settings())


if __name__ == "__main__":
    main()
