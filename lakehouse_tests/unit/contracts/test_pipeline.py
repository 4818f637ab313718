"""A broken pipeline YAML is refused with file, line, field and what is allowed."""

from pathlib import Path

import pytest

from lakehouse.contracts.pipelines import load_pipeline, load_pipeline_file, load_pipelines
from lakehouse.contracts.sql import bind
from lakehouse.errors import ContractError, UsageError

GOOD = """\
type: lakehouse.components.PipelineComponent
attributes:
  name: shop
  description: A shop.
  owners: ["team:data"]
  schedule: "0 2 * * *"
  start: 2026-01-01
  retries: {attempts: 2, delay: 5m}
  extract:
    - name: orders
      function: lakehouse.sources.batch.shop:orders
      columns: {order_id: string, amount: "decimal(12,2)"}
      checks:
        - {name: amount_positive, sql: "amount > 0"}
  transform:
    - name: daily
      sql: select count(*) as orders from orders where created_at >= :start
  load:
    - {name: totals, input: daily, strategy: overwrite_partition}
"""


def load(tmp_path: Path, text: str) -> None:
    path = tmp_path / "shop" / "defs.yaml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    load_pipeline_file(path)


def test_the_good_one_loads(tmp_path: Path) -> None:
    load(tmp_path, GOOD)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("owners:", "owner:", "defs.yaml:5: owner: is no known field; allowed: name, description, owners, tags,"),
        (
            'schedule: "0 2 * * *"',
            "schedule: at two",
            "defs.yaml:6: schedule: 'at two' is no schedule; write five cron",
        ),
        ("start: 2026-01-01", "start: soon", "defs.yaml:7: start: 'soon' is not allowed"),
        ("delay: 5m", "delay: 5 min", "defs.yaml:8: retries.delay: '5 min' is no duration"),
        ("attempts: 2", "attempts: 99", "defs.yaml:8: retries.attempts: 99 is not allowed"),
        ("shop:orders", "shop:ordres", "has no function ordres; it has orders, customers, products"),
        (
            "batch.shop:",
            "batch.shed:",
            "defs.yaml:11: extract.0.function: there is no module lakehouse.sources.batch.shed",
        ),
        (
            "amount > 0",
            "amuont > 0",
            "defs.yaml:14: extract.0.checks.0.sql: names amuont, which is no field; did you mean",
        ),
        ("amount > 0", "amount >", "defs.yaml:14: extract.0.checks.0.sql: is no SQL expression"),
        ("from orders", "from ordres", "transform.0: reads ordres, which no earlier step makes; known: orders"),
        (">= :start", ">= now()", "defs.yaml:17: transform.0: sql: calls now, which differs from run to run"),
        (">= :start", ">= current_date", "calls current_date"),
        (">= :start", ">= :today", "names the parameter :today; allowed: :partition, :start, :end"),
        ("select count(*) as orders", "drop table x; select 1", "sql: is no"),
        (
            "overwrite_partition}",
            "append}",
            "defs.yaml:19: load.0.strategy: 'append' is not allowed; allowed: 'overwrite",
        ),
        ("overwrite_partition}", "merge}", "defs.yaml:19: load.0: merge needs `key`"),
        ("name: totals", "name: daily", "defs.yaml:19: load.0.name: daily is used twice"),
        (
            "      columns:",
            "      table: silver.sales\n      columns:",
            "give one of function, table, files; given: function",
        ),
        ("  start:", "  catchup_windows: 3\n  start:", "catchup_windows: counts only with catchup: true"),
        ("  start:", "  wait_for: {pipeline: a, step: b}\n  start:", "wait_for: a pipeline that waits has no schedule"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ContractError) as refused:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert message in refused.value.problem


def test_files_may_not_share_a_name_nor_wait_for_nobody(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "defs.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ContractError, match="'shop' is used twice"):
        load_pipelines(tmp_path)
    waiting = GOOD.replace("name: shop", "name: other").replace(
        'schedule: "0 2 * * *"', "wait_for: {pipeline: shop, step: none_such}"
    )
    (tmp_path / "b" / "defs.yaml").write_text(waiting, encoding="utf-8")
    with pytest.raises(ContractError, match="shop has no step 'none_such'; it has orders, daily, totals"):
        load_pipelines(tmp_path)
    with pytest.raises(UsageError, match="Did you mean 'daily_etl'"):
        load_pipeline("daily_elt")


def test_an_entry_more_in_the_short_file_is_a_pipeline_more(tmp_path: Path) -> None:
    entry = "    - {source: sales, destination: cities, time: sale_timestamp}\n"
    head = "type: lakehouse.components.EtlPipelinesComponent\nattributes:\n  pipelines:\n"
    path = tmp_path / "short" / "defs.yaml"
    path.parent.mkdir()
    path.write_text(head + entry + entry.replace("cities", "shops"), encoding="utf-8")
    found = load_pipelines(tmp_path)
    assert list(found) == ["etl_sales_cities", "etl_sales_shops"]
    first = found["etl_sales_cities"]
    assert (first.schedule, first.start.isoformat(), first.catchup) == ("@daily", "2024-01-01", False)
    assert first.tags == ["etl", "auto-generated"]
    path.write_text(head + entry + entry, encoding="utf-8")
    with pytest.raises(
        ContractError, match=r"defs.yaml:5: .*pipelines.1.destination: etl_sales_cities is there already"
    ):
        load_pipelines(tmp_path)


def test_parameters_and_tables_are_bound_outside_quotes_only() -> None:
    query = "select ':start', \"silver.sales\", s.silver.x from silver.sales s where a>=:start and b=:start2 -- :start"
    bound = bind(query, {"start": "T"}, {"silver.sales": "view"})
    assert bound == "select ':start', \"silver.sales\", s.silver.x from view s where a>=T and b=:start2 -- :start"
