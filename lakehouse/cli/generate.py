"""`lakehouse generate`: simulated events into a file or onto stdout, any number of them, without a broker.

Here: arguments and writing. Not here: events (`sources.sales`, `sources.contract_events`).
"""

import gzip
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Annotated

import typer

from lakehouse.cli.console import err
from lakehouse.errors import UsageError

app = typer.Typer(add_completion=False, rich_markup_mode=None)
_CHUNK = 5_000


@app.command()
def generate(
    records: Annotated[int, typer.Option("--records", help="How many events.", min=1)],
    stream: Annotated[str, typer.Option(help="Whose events: sales, or any stream, by its contract.")] = "sales",
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="JSON lines; .gz is compressed. Else stdout.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same events, apart from times.")] = None,
    bad_share: Annotated[float, typer.Option(help="Share of events broken on purpose, 0 to 1.")] = 0.0,
    duplicate_share: Annotated[float, typer.Option(help="Share of events repeated, 0 to 1.")] = 0.0,
) -> None:
    """Write events as JSON lines. Memory does not grow with their number.

    Examples:
      lakehouse generate --records 1000000 --file sales.jsonl.gz

      lakehouse generate --records 3 --seed 7
    """
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    events = values(stream, seed=seed, bad_share=bad_share, duplicate_share=duplicate_share)
    began, written = time.monotonic(), 0
    with _target(file) as target:
        source = islice(events, records)
        while chunk := list(islice(source, _CHUNK)):
            target.write(b"".join(value + b"\n" for value in chunk))
            written += sum(len(value) + 1 for value in chunk)
    seconds = max(1e-9, time.monotonic() - began)
    where = "stdout" if file is None else str(file)
    err.print(
        f"{records:,} events · {written / 1e6:,.1f} MB · {seconds:.1f} s · {records / seconds:,.0f} events/s · "
        f"seed {seed} · {where}",
        markup=False, soft_wrap=True,
    )  # fmt: skip


def values(stream: str, *, seed: int, bad_share: float, duplicate_share: float) -> Iterator[bytes]:
    """An endless source of a stream's events as JSON; damaged ones may be no JSON, but never hold a line's end.

    Raises:
        UsageError: there is no such stream, or a share is none.
    """
    from lakehouse.contracts.load import load_stream
    from lakehouse.sources.contract_events import ContractEvents
    from lakehouse.sources.sales import SalesGenerator

    contract = load_stream(stream)
    if stream == "sales":
        generator = SalesGenerator(seed=seed, bad_share=bad_share, duplicate_share=duplicate_share)
        made: Iterator[bytes] = (event.value for event in generator)
    else:
        if not (0 <= bad_share <= 1 and 0 <= duplicate_share <= 1):
            raise UsageError("A share lies between 0 and 1.")
        made = (
            value
            for _, value in ContractEvents(
                contract, seed=seed, bad_share=bad_share, repeated_share=duplicate_share / 2, now=time.time
            )
        )
    return (value.replace(b"\n", b" ") for value in made)


@contextmanager
def _target(file: Path | None) -> Iterator[IO[bytes]]:
    """The file, whole or not at all; or stdout."""
    if file is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if not file.parent.is_dir():
        raise UsageError(f"There is no folder {file.parent}.")
    draft = file.with_name(f".{file.name}.part")
    try:
        with gzip.open(draft, "wb", compresslevel=1) if file.suffix == ".gz" else draft.open("wb") as target:
            yield target  # type: ignore[misc]
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
