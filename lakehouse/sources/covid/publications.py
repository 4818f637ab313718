"""Published daily reports of a folder: which there are, in the order of publication, and which of them are whole.

Here: order and the comparison with what was published before. Not here: the form of a file (`report`).

A folder holds `<report date>/<anything>_<published, as 20200228T000238Z>.csv` or `.csv.gz`. A report date has several
files: corrections, published hours or months later.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from lakehouse.errors import UsageError
from lakehouse.sources.covid.report import Place, ReportRefusedError, read_report

_FILE = re.compile(r"(?:^|.*_)(\d{8}T\d{6}Z)\.csv(?:\.gz)?$")
# A report with less than half the places of what was known before broke off.
LEAST_SHARE = 0.5
_LOOK_BACK = timedelta(days=7)


class Publication(NamedTuple):
    """One file: which day it reports, when it was published (UTC)."""

    published_at: datetime
    report_date: date
    path: Path


class Whole(NamedTuple):
    """A publication that was taken."""

    publication: Publication
    places: list[Place]


class Refused(NamedTuple):
    """A publication that was refused whole, and why."""

    publication: Publication
    reason: str


def find_publications(folder: Path) -> list[Publication]:
    """Every publication below the folder, oldest first.

    Raises:
        UsageError: when the folder is not there, or a file's name does not say what it is.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder of published reports.", fix="See docs/sources.md for its form.")
    found = []
    for path in sorted(folder.glob("*/*.csv*")):
        publication = publication_of(path)
        if publication is None:
            raise UsageError(
                f"{path} does not say which day it reports and when it was published.",
                fix="Name it <report date>/<anything>_<published, as 20200228T000238Z>.csv.",
            )
        found.append(publication)
    return sorted(found)


def publication_of(path: Path) -> Publication | None:
    """What a file's name and folder say it is; None when they do not say it."""
    named = _FILE.match(path.name)
    try:
        report_date = date.fromisoformat(path.parent.name)
        published = datetime.strptime(named[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if named else None
    except ValueError:
        return None
    return None if published is None else Publication(published, report_date, path)


def judge(wanted: Iterable[Publication], known: list[Publication]) -> Iterator[Whole | Refused]:
    """Read the wanted publications and tell the whole ones from the others.

    Args:
        wanted: What to read, in any order.
        known: Every publication of the folder; what was published before decides how long a report should be.
    """
    for publication in wanted:
        try:
            places = read_report(publication.path)
        except ReportRefusedError as error:
            yield Refused(publication, str(error))
            continue
        usual = max(
            (_length(before.path, before.path.stat().st_mtime_ns) for before in comparable(publication, known)),
            default=0,
        )
        if len(places) < LEAST_SHARE * usual:
            yield Refused(publication, f"it breaks off: {len(places)} places, {usual} were known before")
        else:
            yield Whole(publication, places)


def comparable(publication: Publication, known: list[Publication]) -> list[Publication]:
    """What was published before it: of the same day, else of the nearest day of the week before."""
    before = [other for other in known if other.published_at < publication.published_at]
    first = publication.report_date - _LOOK_BACK
    days = {other.report_date for other in before if first <= other.report_date <= publication.report_date}
    return [other for other in before if days and other.report_date == max(days)]


def _as_it_is(path: Path) -> tuple[Path, int]:
    return path, path.stat().st_mtime_ns


@lru_cache(maxsize=1024)
def _length(path: Path, changed_at: int) -> int:  # noqa: ARG001 - another file under the same name is read again
    try:
        return len(read_report(path))
    except ReportRefusedError:
        return 0
