"""A quality report as one HTML page: verdict per table, contract, owners, SLA, figures, findings, profiles.

Here: values → HTML, self-contained, with inline SVG. Not here: what is in it (`lake.quality.hourly`), where it is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from lakehouse.contracts.model import StreamContract
from lakehouse.quality.plots import bars_svg, escaped
from lakehouse.quality.profile import ColumnProfile
from lakehouse.quality.results import CheckResult

_STYLE = """
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1c2430}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #d5dbe3}
table{border-collapse:collapse;width:100%;margin:.6rem 0}th,td{text-align:left;padding:.25rem .6rem;vertical-align:top;
border-bottom:1px solid #e8ecf1}th{font-weight:600;background:#f5f7fa}td.n{text-align:right;
font-variant-numeric:tabular-nums}
.ok{color:#17733b}.bad{color:#b3261e;font-weight:600}.warn{color:#8a5a00}small{color:#5b6675}
"""
_FAMILIES = ("completeness", "accuracy", "timeliness")


@dataclass(frozen=True)
class Report:
    """Everything that one run of the quality job found.

    Attributes:
        run: Its id.
        at: When it looked (UTC).
        days: The days that it looked at, in words.
        contracts: By stream.
        results: Everything that was checked.
        profiles: Of silver, by stream.
    """

    run: str
    at: datetime
    days: str
    contracts: Mapping[str, StreamContract]
    results: Sequence[CheckResult]
    profiles: Mapping[str, Sequence[ColumnProfile]] = field(default_factory=dict)

    @property
    def findings(self) -> list[CheckResult]:
        """What is wrong."""
        return [result for result in self.results if result.is_finding]

    @property
    def warnings(self) -> list[CheckResult]:
        """What is only worth a look."""
        return [result for result in self.results if not result.passed and not result.is_finding]


def html(report: Report) -> str:
    """The page."""
    tables = sorted({result.table for result in report.results})
    verdict = (
        '<span class="ok">no findings</span>'
        if not report.findings
        else f'<span class="bad">{len(report.findings)} findings</span>'
    )
    looked_at = f"days looked at: {escaped(report.days)} · run {escaped(report.run)}"
    body = [
        f"<h1>Data quality, {report.at:%Y-%m-%d %H:%M} UTC: {verdict}</h1>",
        f"<p><small>{len(report.results)} checks on {len(tables)} tables · {looked_at}</small></p>",
        _overview(report, tables),
        _findings("Findings", report.findings),
        _findings("Warnings", report.warnings),
        "<h2>Contracts</h2>",
        _contracts(report.contracts.values()),
    ]
    for stream, columns in report.profiles.items():
        body += [f"<h2>Profile of silver.{escaped(stream)}</h2>", profile_table(columns)]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Data quality {report.at:%Y-%m-%d %H:%M} UTC</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _overview(report: Report, tables: Sequence[str]) -> str:
    rows = []
    for table in tables:
        own = [result for result in report.results if result.table == table]
        bad = sum(result.is_finding for result in own)
        warned = sum(not result.passed for result in own) - bad
        shares = {result.check: result for result in own if result.check in _FAMILIES}
        cells = [_share(shares.get(family)) for family in _FAMILIES]
        rows.append([escaped(table), *cells, f"{len(own)}", _count(bad, "bad"), _count(warned, "warn")])
    return _table(["table", *_FAMILIES, "checks", "findings", "warnings"], rows, numbers_from=1)


def _share(result: CheckResult | None) -> str:
    if result is None or result.observed is None:
        return "-"
    css = "ok" if result.passed else "bad" if result.is_finding else "warn"
    return f'<span class="{css}">{result.observed:.2%}</span>'


def _count(number: int, css: str) -> str:
    return f'<span class="{css if number else "ok"}">{number}</span>'


def _findings(title: str, results: Sequence[CheckResult]) -> str:
    if not results:
        return ""
    rows = [
        [
            escaped(result.table), escaped(result.check), escaped(result.severity), f"{result.broken:,}",
            escaped(result.message) + _sample(result.details.get("sample")),
        ]
        for result in results
    ]  # fmt: skip
    return f"<h2>{title}</h2>" + _table(["table", "check", "severity", "broken", "what"], rows)


def _sample(rows: Any) -> str:
    if not rows:
        return ""
    names = list(rows[0])
    return _table(names, [[escaped(row.get(name)) for name in names] for row in rows])


def _contracts(contracts: Any) -> str:
    rows = [
        [
            escaped(contract.name), escaped(contract.description), escaped(", ".join(contract.owners)),
            f"warn after {duration(contract.freshness.warn)}, late after {duration(contract.freshness.fail)}",
            escaped(", ".join(contract.key)), f"{len(contract.fields)}",
            f"{len(contract.rules) + len(contract.table_rules)}",
        ]
        for contract in contracts
    ]  # fmt: skip
    return _table(["stream", "what", "owners", "SLA: freshness", "key", "fields", "rules"], rows)


def profile_table(columns: Sequence[ColumnProfile]) -> str:
    """Columns of a table with their plots, as an HTML table."""
    rows = []
    for column in columns:
        bars = column.histogram or column.top
        labels = [f"{label:,.6g}" if isinstance(label, float) else str(label) for label, _ in bars]
        quantiles = " · ".join(f"{share:.0%}: {value:,.6g}" for share, value in column.quantiles.items())
        rows.append(
            [
                escaped(column.name), escaped(column.type), f"{column.nulls:,}", f"{column.distinct:,}",
                f"{escaped(column.least)} … {escaped(column.greatest)}<br><small>{quantiles}</small>",
                bars_svg([count for _, count in bars], labels),
            ]
        )  # fmt: skip
    return _table(["column", "type", "nulls", "distinct", "range", "values"], rows)


def profile_markdown(columns: Sequence[ColumnProfile]) -> str:
    """Columns of a table as Markdown, for Dagster's metadata."""
    lines = [
        "| column | type | rows | nulls | distinct | range | median | values |",
        "|---|---|--:|--:|--:|---|--:|---|",
    ]
    for column in columns:
        middle = column.quantiles.get(0.5)
        shown = "" if middle is None or column.type in ("timestamp", "date") else f"{middle:,.6g}"
        spread = f"{column.least} … {column.greatest}".replace("|", "\\|")
        lines.append(
            f"| {column.name} | {column.type} | {column.rows:,} | {column.nulls:,} | {column.distinct:,} | {spread} "
            f"| {shown} | {column.plot} |"
        )
    return "\n".join(lines)


def duration(value: timedelta) -> str:
    """A duration as a contract writes it."""
    seconds = int(value.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0 and seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers_from: int | None = None) -> str:
    head = "".join(f"<th>{escaped(text)}</th>" for text in heads)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="n">{cell}</td>' if numbers_from is not None and number >= numbers_from else f"<td>{cell}</td>"
            for number, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
