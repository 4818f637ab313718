"""One published daily report: its bytes as rows of one form, whatever era its columns are from, or why it is refused.

Here: the form of a file. Not here: which files there are and their order (`publications`), sending them (`feed`).

A report is taken whole or not at all: a file that breaks off, has a row too short or a count that is no number is
refused with its line, because half a report would look like a fall of the counts.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

# Column names by era: until 22 March 2020, and since. Later additions (rates, coordinates) are not needed.
_COLUMNS = {
    "country": ("Country/Region", "Country_Region"),
    "province": ("Province/State", "Province_State"),
    "last_update": ("Last Update", "Last_Update"),
    "confirmed": ("Confirmed",),
    "deaths": ("Deaths",),
    "recovered": ("Recovered",),
}
_OPTIONAL = {"admin2": ("Admin2",), "fips": ("FIPS",), "active": ("Active",), "combined_key": ("Combined_Key",)}
_COUNTS = ("confirmed", "deaths", "recovered", "active")
_WHOLE = re.compile(r"^-?\d+(\.0+)?$")
_TIMES = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%m/%d/%y %H:%M", "%m/%d/%Y %H:%M")
_FIPS_DIGITS = 5
# One name for each country through all eras; the published name is kept beside it.
_NAMES = {
    "Mainland China": "China",
    "South Korea": "Korea, South",
    "Republic of Korea": "Korea, South",
    "Iran (Islamic Republic of)": "Iran",
    "Taiwan": "Taiwan*",
    "Taipei and environs": "Taiwan*",
    "UK": "United Kingdom",
    "Czech Republic": "Czechia",
    "Viet Nam": "Vietnam",
    "Russian Federation": "Russia",
    "Republic of Moldova": "Moldova",
    "Macau": "Macao SAR",
    "Hong Kong": "Hong Kong SAR",
    "occupied Palestinian territory": "West Bank and Gaza",
    "Palestine": "West Bank and Gaza",
    "The Bahamas": "Bahamas",
    "Bahamas, The": "Bahamas",
    "The Gambia": "Gambia",
    "Gambia, The": "Gambia",
    "Ivory Coast": "Cote d'Ivoire",
    "Republic of the Congo": "Congo (Brazzaville)",
    "East Timor": "Timor-Leste",
    "Cape Verde": "Cabo Verde",
    "Vatican City": "Holy See",
}


class ReportRefusedError(Exception):
    """The file cannot be taken; the message says why and, where it can, in which line."""


class Place(NamedTuple):
    """One row of a report. `location` is the report's own name of the place, unique within a report.

    Counts are cumulative; None where the report has none.
    """

    location: str
    country: str
    country_as_published: str
    province: str | None
    admin2: str | None
    fips: str | None
    last_update: datetime
    confirmed: int | None
    deaths: int | None
    recovered: int | None
    active: int | None


def read_report(path: Path) -> list[Place]:
    """All rows of a report, plain or gzip, in any of its eras' columns.

    Raises:
        ReportRefusedError: when it is not a whole, regular report.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    places: dict[str, Place] = {}
    try:
        header = next(reader, [])
        columns = _positions(header)
        for row in reader:
            if len(row) != len(header):
                raise ReportRefusedError(f"line {reader.line_num}: {len(row)} values for {len(header)} columns")
            place = _place({name: row[position].strip() for name, position in columns.items()}, reader.line_num)
            if place.location in places:
                raise ReportRefusedError(f"line {reader.line_num}: a second row for {place.location!r}")
            places[place.location] = place
    except csv.Error as error:
        raise ReportRefusedError(f"line {reader.line_num}: no regular CSV: {error}") from error
    if not places:
        raise ReportRefusedError("the file has no rows")
    return list(places.values())


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise ReportRefusedError(f"no whole gzip file: {error}") from error
    except UnicodeDecodeError as error:
        raise ReportRefusedError(f"no UTF-8 at byte {error.start}") from error


def _positions(header: list[str]) -> dict[str, int]:
    names = {name: position for position, name in enumerate(header)}
    found = {}
    for field, spellings in {**_COLUMNS, **_OPTIONAL}.items():
        known = [names[spelling] for spelling in spellings if spelling in names]
        if known:
            found[field] = known[0]
        elif field in _COLUMNS:
            raise ReportRefusedError(f"line 1: no column {' or '.join(spellings)}")
    return found


def _place(row: Mapping[str, str], line: int) -> Place:
    published = row["country"]
    if not published:
        raise ReportRefusedError(f"line {line}: a row without a country")
    province, admin2 = row["province"] or None, row.get("admin2") or None
    fips = row.get("fips") or None
    return Place(
        location=row.get("combined_key") or ", ".join(filter(None, (admin2, province, published))),
        country=_NAMES.get(published, published),
        country_as_published=published,
        province=province,
        admin2=admin2,
        # Some versions lost the leading zero.
        fips=None if fips is None else fips.removesuffix(".0").zfill(_FIPS_DIGITS),
        last_update=_moment(row["last_update"], line),
        **{name: _count(row.get(name, ""), name, line) for name in _COUNTS},
    )


def _count(text: str, name: str, line: int) -> int | None:
    if not text:
        return None
    if not _WHOLE.match(text):
        raise ReportRefusedError(f"line {line}: {name} is {text!r}, no whole number")
    return int(text.partition(".")[0])


def _moment(text: str, line: int) -> datetime:
    for form in _TIMES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ReportRefusedError(f"line {line}: {text!r} is no time of a known form")
