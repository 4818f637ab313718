"""A Kappa replay in a process to be killed: `python -m lakehouse_tests.faults.kappa_worker CONTRACT.json`."""

import sys
from pathlib import Path

from lakehouse.contracts.model import StreamContract
from lakehouse.lake.rebuild.kappa import replay
from lakehouse.settings import load_settings


def main() -> None:
    """Replay everything."""
    contract = StreamContract.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    replay(contract, load_settings(), say=lambda text: print(text, flush=True))


if __name__ == "__main__":
    main()
