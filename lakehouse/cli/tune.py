"""`lakehouse tune`: how large topic, executors and partitions should be, for the streams there are or a plan."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.console import err, out, print_json, print_table
from lakehouse.contracts.load import load_stream, load_streams
from lakehouse.errors import UsageError
from lakehouse.settings import load_settings

if TYPE_CHECKING:
    from lakehouse.lake.load import StreamLoad

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def tune(
    stream: Annotated[str | None, typer.Argument(help="Only this stream; without it all.")] = None,
    rate: Annotated[float | None, typer.Option(help="Plan for so many messages per second.")] = None,
    size_gb: Annotated[float | None, typer.Option(help="Plan for jobs over so many gigabytes.")] = None,
    spark_conf: bool = typer.Option(False, "--spark-conf", help="Print the spark-defaults.conf of a cluster."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
) -> None:
    """Measure the streams and say what to change; with --rate or --size-gb plan for a load that is not there yet.

    Example: lakehouse tune sales
    Example: lakehouse tune --rate 25000 --size-gb 40
    Example: lakehouse tune --spark-conf > spark-defaults.conf
    """
    planned = rate is not None or size_gb is not None
    if sum((bool(stream), planned, spark_conf)) > 1:
        raise UsageError(
            "A stream, a plan and --spark-conf do not go together.",
            fix="Give STREAM alone, or --rate and --size-gb, or --spark-conf.",
        )
    if spark_conf:
        from lakehouse.engine.profiles import spark_defaults

        out.print(spark_defaults(), markup=False, end="")
    elif planned:
        _plan(rate, size_gb, as_json=as_json)
    else:
        _measure(stream, as_json=as_json)


def _plan(rate: float | None, size_gb: float | None, *, as_json: bool) -> None:
    from lakehouse.engine.sizing import executors_for, target_partitions
    from lakehouse.kafka.topic_plan import recommend_partitions

    found: dict[str, Any] = {}
    if rate is not None:
        least, most, why = recommend_partitions(rate)
        found["topic_partitions"] = {"least": least, "most": most, "why": why}
    if size_gb is not None:
        found["executors"] = executors_for(size_gb)._asdict()
        found["data_partitions"] = target_partitions(size_gb * 1000)
    if as_json:
        print_json(found)
        return
    rows = []
    if rate is not None:
        rows.append(["topic partitions", _between(least, most), why])
    if size_gb is not None:
        wanted = executors_for(size_gb)
        rows += [
            ["executors", _between(wanted.least, wanted.most), f"{size_gb:g} GB"],
            ["memory of each", "{} to {} GB".format(*wanted.memory_gb), ""],
            ["cores of each", "{} to {}".format(*wanted.cores), ""],
            ["data partitions", found["data_partitions"], "of about 200 MB"],
        ]
    print_table("", ["what", "how many", "why"], rows)


def _measure(stream: str | None, *, as_json: bool) -> None:
    from lakehouse.lake.load import advice, measure

    settings = load_settings()
    contracts = [load_stream(stream)] if stream else list(load_streams().values())
    loads = [load for contract in contracts if (load := measure(contract, settings)) is not None]
    if as_json:
        print_json([{**dataclasses.asdict(load), "advice": advice(load, settings)} for load in loads])
        return
    if not loads:
        out.print("nothing was read yet; plan with --rate and --size-gb", markup=False)
        return
    print_table(
        "",
        ["stream", "partitions", "batches", "rows", "busiest", "bronze", "silver"],
        [_row(load) for load in loads],
    )
    for load in loads:
        for line in advice(load, settings):
            out.print(f"{load.stream}: {line}", markup=False)
    if not any(advice(load, settings) for load in loads):
        err.print("nothing to change", style="green")


def _row(load: "StreamLoad") -> list[Any]:
    tables = [load.tables.get(layer) for layer in ("bronze", "silver")]
    return [
        load.stream,
        load.partitions,
        f"{load.batches:,}",
        f"{load.rows:,}",
        f"{load.busiest_per_second:,.0f}/s",
        *(f"{table.files:,} files, {table.bytes / 1e6:,.1f} MB" if table else "" for table in tables),
    ]


def _between(least: int, most: int | None) -> str:
    return f"{least} to {most}" if most else f"{least} or more"
