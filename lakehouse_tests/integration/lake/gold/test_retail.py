"""A second stream is one YAML file: 20 days of real transactions from CSV to gold, counted beside pandas everywhere."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from lakehouse.cli.produce import files as produce_files
from lakehouse.contracts.load import load_stream
from lakehouse.contracts.model import StreamContract
from lakehouse.engine.duck import delta_connection
from lakehouse.kafka.topics import apply_topics, desired_topics
from lakehouse.lake.drain import drain
from lakehouse.lake.gold import builds
from lakehouse.lake.paths import LakePaths
from lakehouse.lake.reports import BatchReport
from lakehouse.lake.verify import verify
from lakehouse.settings import Settings
from lakehouse_tests.conftest import shared_data

BUSINESS = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]

pytestmark = [pytest.mark.kafka, pytest.mark.spark]


@dataclass
class Expected:
    """What pandas finds in the files: `rows` all of them, `silver` the valid ones without exact duplicates."""

    rows: pd.DataFrame
    silver: pd.DataFrame
    rejected: pd.DataFrame
    warnings: dict[str, int]

    @classmethod
    def of(cls, folder: Path) -> "Expected":
        frames = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in sorted(folder.glob("*.csv"))]
        rows = pd.concat(frames, ignore_index=True)
        for name in ("InvoiceNo", "StockCode", "Description", "CustomerID", "Country"):
            rows[name] = rows[name].str.strip()
        rows["CustomerID"] = rows["CustomerID"].str.removesuffix(".0")
        rows["cancelled"] = rows["InvoiceNo"].str.startswith("C")
        rows["quantity"] = rows["Quantity"].astype(int)
        rows["price"] = rows["UnitPrice"].map(Decimal)
        rows["amount"] = rows["quantity"].map(Decimal) * rows["price"]
        rows["event_date"] = pd.to_datetime(rows["InvoiceDate"]).dt.date
        bad = (rows["quantity"] < 0) != rows["cancelled"]
        valid = rows[~bad]
        warnings = {
            "unit_price_not_zero": int((valid["price"] == 0).sum()),
            "description_present": int((valid["Description"] == "").sum()),
            "customer_known": int((valid["CustomerID"] == "").sum()),
            "article_code": int((~valid["StockCode"].str.fullmatch(r"\d{5}[A-Za-z]{0,2}")).sum()),
            "plausible_quantity": int((valid["quantity"].abs() > 5000).sum()),
        }
        silver = valid.drop_duplicates(["event_date", *BUSINESS])
        return cls(rows, silver, rows[bad], warnings)


@dataclass
class Loaded:
    """One run of the whole way, for all tests of this file."""

    settings: Settings
    contract: StreamContract
    reports: list[BatchReport]
    gold: builds.GoldReport

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(builds.gold_path(self.settings)), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def ask_lake(self, table: str, query: str) -> list[tuple[Any, ...]]:
        """`query` speaks of `t`, the Delta table at this path."""
        with delta_connection() as connection:
            connection.execute(f"create view t as from delta_scan('{table}')")
            return connection.execute(query).fetchall()

    @property
    def paths(self) -> LakePaths:
        return LakePaths.of(self.settings)


@pytest.fixture(scope="module")
def folder() -> Path:
    return shared_data("online_retail_by_day")


@pytest.fixture(scope="module")
def expected(folder: Path) -> Expected:
    return Expected.of(folder)


@pytest.fixture(scope="module")
def loaded(folder: Path, module_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    contract = load_stream("retail")
    # A topic of its own: others may send to the stream's topic on the same broker.
    topic = contract.topic.model_copy(update={"name": f"retail_{tmp_path_factory.getbasetemp().name}_{id(contract)}"})
    contract = contract.model_copy(update={"topic": topic})
    apply_topics(module_settings, desired_topics([contract]))
    produce_files(stream="retail", path=folder, topic=topic.name)
    reports: list[BatchReport] = []
    drain(contract, module_settings, budget_seconds=180, idle_seconds=1, report=reports.append)
    return Loaded(module_settings, contract, reports, builds.build(module_settings))


def test_bronze_holds_every_row_of_every_file(loaded: Loaded, expected: Expected, folder: Path) -> None:
    assert len(list(folder.glob("*.csv"))) >= 13
    assert sum(report.rows for report in loaded.reports if report.layer == "bronze") == len(expected.rows)
    assert loaded.ask_lake(loaded.paths.bronze("retail"), "select count(*) from t") == [(len(expected.rows),)]


def test_silver_is_the_valid_rows_without_exact_duplicates(loaded: Loaded, expected: Expected) -> None:
    found = loaded.ask_lake(
        loaded.paths.silver("retail"),
        "select event_date, count(*), sum(quantity), sum(quantity * unit_price), count(customer_id),"
        " count(*) filter (is_cancelled) from t group by 1",
    )

    wanted = [
        (
            day,
            len(rows),
            rows["quantity"].sum(),
            sum(rows["amount"]),
            (rows["CustomerID"] != "").sum(),
            rows["cancelled"].sum(),
        )
        for day, rows in expected.silver.groupby("event_date")
    ]
    assert sorted(found) == wanted


def test_customer_numbers_lose_their_fraction(loaded: Loaded, expected: Expected) -> None:
    found = loaded.ask_lake(
        loaded.paths.silver("retail"), "select distinct customer_id from t where customer_id is not null"
    )

    assert {row[0] for row in found} == set(expected.silver["CustomerID"]) - {""}


def test_stock_adjustments_are_quarantined_with_their_reason(loaded: Loaded, expected: Expected) -> None:
    found = loaded.ask_lake(loaded.paths.quarantine("retail"), "select reasons from t")

    reasons = Counter(reason for (row,) in found for reason in row)
    assert len(found) == len(expected.rejected) > 0
    assert reasons == {"sign_fits_invoice": len(expected.rejected)}


def test_warnings_are_counted_and_kept(loaded: Loaded, expected: Expected) -> None:
    counted: Counter[str] = Counter()
    for report in loaded.reports:
        if report.layer == "silver":
            counted.update(report.warned_by_rule)

    assert {rule: rows for rule, rows in counted.items() if rows} == expected.warnings


def test_every_silver_row_says_where_it_came_from(loaded: Loaded, folder: Path) -> None:
    found = loaded.ask_lake(
        loaded.paths.silver("retail"), "select source_file, min(source_line) from t group by 1 order by 1"
    )

    assert [row[0] for row in found] == [path.name for path in sorted(folder.glob("*.csv"))]
    assert all(row[1] == 1 for row in found)


def test_gold_has_the_totals_that_pandas_has(loaded: Loaded, expected: Expected) -> None:
    assert loaded.gold.published, loaded.gold.failures
    found = loaded.ask(
        "select event_date, country, invoice_lines, invoices, known_customers, cancelled_lines, quantity, gross_amount,"
        " returned_amount, net_amount from retail_daily order by event_date, country"
    )

    wanted = []
    for (day, country), rows in expected.silver.groupby(["event_date", "Country"]):
        sold, returned = rows[~rows["cancelled"]]["amount"], rows[rows["cancelled"]]["amount"]
        wanted.append(
            (
                day,
                country,
                len(rows),
                rows["InvoiceNo"].nunique(),
                rows.loc[rows["CustomerID"] != "", "CustomerID"].nunique(),
                rows["cancelled"].sum(),
                rows["quantity"].sum(),
                sum(sold, Decimal()),
                -sum(returned, Decimal()),
                sum(rows["amount"], Decimal()),
            )
        )
    assert found == wanted
    assert loaded.ask("select count(*), sum(net_amount) from fct_retail_sales") == [
        (len(expected.silver), sum(expected.silver["amount"]))
    ]


def test_dimensions_hold_what_the_files_name(loaded: Loaded, expected: Expected) -> None:
    silver = expected.silver
    wanted = {
        "select count(*) from dim_retail_product": silver["StockCode"].nunique(),
        "select count(*) from dim_retail_country": silver["Country"].nunique(),
        "select count(*) from dim_retail_customer where is_known": silver["CustomerID"].nunique() - 1,
        "select count(*) from fct_retail_sales where is_cancelled": silver["cancelled"].sum(),
    }

    assert {query: loaded.ask(query)[0][0] for query in wanted} == wanted


def test_verify_reconciles_the_new_stream_too(loaded: Loaded) -> None:
    proof = verify(loaded.settings, [loaded.contract])

    assert proof.findings == []
    assert proof.proofs[0].gold_version == loaded.gold.versions["retail"]
