"""`lakehouse tune`: how large topic, executors and partitions should be; slow queries; monthly costs."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.cli.console import err, out, print_json, print_table
from lakehouse.contracts.load import load_stream, load_streams
from lakehouse.errors import UsageError
from lakehouse.settings import load_settings

if TYPE_CHECKING:
    from lakehouse.lake.maintenance.load import StreamLoad

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def tune(
    stream: Annotated[str | None, typer.Argument(help="Only this stream; without it all.")] = None,
    rate: Annotated[float | None, typer.Option(help="Plan for so many messages per second.")] = None,
    size_gb: Annotated[float | None, typer.Option(help="Plan for jobs over so many gigabytes.")] = None,
    query: Annotated[
        str | None, typer.Option("--sql", help="Run this query on gold and say what is slow in it.")
    ] = None,
    cost: bool = typer.Option(False, "--cost", help="What a month would cost in a warehouse (infra/costs.yaml)."),
    scanned_gb: Annotated[float, typer.Option(help="With --cost: gigabytes that a month's queries read.")] = 0,
    hours: Annotated[float, typer.Option(help="With --cost: hours of the month in which queries run.")] = 0,
    spark_conf: bool = typer.Option(False, "--spark-conf", help="Print the spark-defaults.conf of a cluster."),
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout."),
) -> None:
    """Measure the streams and say what to change; with --rate or --size-gb plan for a load that is not there yet.

    Example: lakehouse tune sales
    Example: lakehouse tune --rate 25000 --size-gb 40
    Example: lakehouse tune --sql "select * from fct_sales where quantity > 4 order by sold_at"
    Example: lakehouse tune --cost --size-gb 500 --scanned-gb 20000 --hours 160
    Example: lakehouse tune --spark-conf > spark-defaults.conf
    """
    planned = rate is not None or (size_gb is not None and not cost)
    if sum((bool(stream), planned, spark_conf, query is not None, cost)) > 1:
        raise UsageError(
            "A stream, a plan, --sql, --cost and --spark-conf do not go together.",
            fix="Give STREAM alone, or --rate and --size-gb, or --sql, or --cost with --size-gb, or --spark-conf.",
        )
    if spark_conf:
        from lakehouse.engine.profiles import spark_defaults

        out.print(spark_defaults(), markup=False, end="")
    elif query is not None:
        _query(query, as_json=as_json)
    elif cost:
        _cost(size_gb or 0, scanned_gb, hours, as_json=as_json)
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


def _query(query: str, *, as_json: bool) -> None:
    from lakehouse.lake.gold.builds import require_gold
    from lakehouse.lake.gold.query_plan import follow, judge

    plan = follow(require_gold(load_settings()), query)
    found = judge(plan)
    seconds = sum(step.seconds for step in plan.walk())
    if as_json:
        print_json({"seconds": seconds, "advice": [dataclasses.asdict(advice) for advice in found]})
        return
    print_table("", ["what is slow", "instead"], [[advice.what, advice.instead] for advice in found])
    err.print(f"{seconds * 1000:,.1f} ms of work" + ("" if found else "; nothing to change"), style="green")


def _cost(stored_gb: float, scanned_gb: float, hours: float, *, as_json: bool) -> None:
    from lakehouse.engine.costs import PRICES, estimate, load_prices

    months = estimate(load_prices(), stored_gb=stored_gb, scanned_gb=scanned_gb, hours=hours)
    if as_json:
        print_json([{**month.model_dump(), "total": month.total} for month in months])
        return
    rows = [[m.warehouse, m.size, f"{m.storage:,.2f}", f"{m.queries:,.2f}", f"{m.total:,.2f}"] for m in months]
    print_table("", ["warehouse", "size", "storage", "queries", "dollars a month"], rows)
    err.print(f"by the prices in {PRICES.name}; put yours there", style="dim")


def _measure(stream: str | None, *, as_json: bool) -> None:
    from lakehouse.lake.maintenance.load import advice, measure

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
