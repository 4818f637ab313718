"""Published daily reports: every era of columns, every kind of broken file, the order of publication."""

import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from lakehouse.contracts.load import load_stream
from lakehouse.contracts.window import window_of
from lakehouse.errors import UsageError
from lakehouse.settings import load_settings
from lakehouse.sources.covid.feed import SAMPLE, places, refused, rows
from lakehouse.sources.covid.publications import Refused, Whole, find_publications, judge
from lakehouse.sources.covid.report import ReportRefusedError, read_report
from lakehouse_tests.conftest import shared_data

START = date(2020, 1, 22)
OLD = "Province/State,Country/Region,Last Update,Confirmed,Deaths,Recovered\n"
NEW = "FIPS,Admin2,Province_State,Country_Region,Last_Update,Lat,Long_,Confirmed,Deaths,Recovered,Active,Combined_Key"


def written(tmp_path: Path, content: bytes | str, name: str = "r_20200301T000000Z.csv") -> Path:
    path = tmp_path / "2020-02-29" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "line 1: no column Country/Region or Country_Region"),
        (OLD, "no rows"),
        (OLD + ",China,2020-02-27T12:00:00,1,2\n", "line 2: 5 values for 6 columns"),
        (OLD + ",China,2020-02-27T12:00:00,many,2,3\n", "line 2: confirmed is 'many'"),
        (OLD + ",China,2020-02-27T12:00:00,1.5,2,3\n", "line 2: confirmed is '1.5'"),
        (OLD + ",China,yesterday,1,2,3\n", "line 2: 'yesterday' is no time"),
        (OLD + ",,2020-02-27T12:00:00,1,2,3\n", "line 2: a row without a country"),
        (OLD + ',"China,2020-02-27T12:00:00,1,2,3\n', "no regular CSV"),
        (OLD + ",A,2/1/20 1:00,1,2,3\n,A,2/1/20 1:00,1,2,3\n", "line 3: a second row for 'A'"),
        (OLD.encode() + b",Cura\xe7ao,2020-02-27T12:00:00,1,2,3\n", "no UTF-8"),
        ("Province/State,Confirmed\n", "no column Country/Region"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(tmp_path: Path, content: bytes | str, reason: str) -> None:
    with pytest.raises(ReportRefusedError, match=reason):
        read_report(written(tmp_path, content))


def test_a_cut_gzip_file_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress((OLD + ",China,2020-02-27T12:00:00,1,2,3\n" * 1).encode())
    with pytest.raises(ReportRefusedError, match="no whole gzip file"):
        read_report(written(tmp_path, whole[:-6], "r_20200301T000000Z.csv.gz"))


def test_eras_are_one_form(tmp_path: Path) -> None:
    (old,) = read_report(written(tmp_path, OLD + "Hubei,Mainland China,2020-02-27T12:13:14,65596,,23383.0\n"))
    assert (old.location, old.country, old.country_as_published) == ("Hubei, Mainland China", "China", "Mainland China")
    assert (old.confirmed, old.deaths, old.recovered, old.active) == (65596, None, 23383, None)
    text = f'\ufeff{NEW}\r\n6061,Placer,California,US,3/22/20 23:45,1,2,10,1,0,-1,"Placer, California, US"\r\n'
    (new,) = read_report(written(tmp_path, text))
    assert (new.location, new.fips, new.active) == ("Placer, California, US", "06061", -1)
    assert new.last_update == datetime(2020, 3, 22, 23, 45, tzinfo=UTC)


def test_all_real_publications_as_pandas_reads_them() -> None:
    folder = shared_data("covid19_jhu_daily")
    manifest = pd.read_csv(folder / "manifest.csv", dtype=str)
    known = find_publications(folder)
    names = [f"{p.path.parent.name}/{p.path.name}" for p in known]
    assert sorted(names) == sorted(manifest["file"])
    published = list(manifest["published_at_utc"])
    assert [f"{p.published_at:%Y-%m-%dT%H:%M:%SZ}" for p in known] == published, "the order of publication"
    found = list(judge(known, known))
    (broken,) = (each for each in found if isinstance(each, Refused))
    assert (broken.publication.path.name, broken.reason) == (
        "v01_20200401T235001Z.csv", "it breaks off: 256 places, 2434 were known before",
    )  # fmt: skip
    for each in found:
        frame = pd.read_csv(each.publication.path)
        if isinstance(each, Whole):
            assert len(each.places) == len(frame)
            for name in ("Confirmed", "Deaths", "Recovered"):
                assert sum(getattr(place, name.lower()) for place in each.places) == frame[name].sum()
            times = pd.to_datetime(frame[next(c for c in frame if c.startswith("Last"))], format="mixed")
            assert max(place.last_update for place in each.places).replace(tzinfo=None) == times.max()


def test_a_shorter_correction_of_an_early_day_is_no_broken_file(tmp_path: Path) -> None:
    def report(day: str, published: str, count: int) -> None:
        path = tmp_path / day / f"v_{published}.csv"
        path.parent.mkdir(exist_ok=True)
        lines = [f",Country {n},2020-02-27T12:00:00,{n},0,0\n" for n in range(count)]
        path.write_text(OLD + "".join(lines), encoding="utf-8")

    report("2020-03-01", "20200302T000000Z", 10)
    report("2020-03-02", "20200303T000000Z", 100)
    report("2020-03-03", "20200304T000000Z", 49)
    report("2020-03-01", "20201201T000000Z", 9)
    report("2020-03-02", "20201202T000000Z", 49)
    known = find_publications(tmp_path)
    refused_days = [(r.publication.report_date.day, r.publication.published_at.month)
                    for r in judge(known, known) if isinstance(r, Refused)]  # fmt: skip
    assert refused_days == [(3, 3), (2, 12)]


def test_the_pipeline_gets_a_days_publications_out_of_the_landing_folder_or_the_sample(tmp_path: Path) -> None:
    settings = load_settings(LAKEHOUSE_HOME=tmp_path)
    days = {day: window_of("daily", f"2026-03-{day:02d}", START) for day in range(1, 8)}
    count = {day: len(list(places(window, {}, settings))) for day, window in days.items()}
    assert count == {1: 0, 2: 8, 3: 8, 4: 4, 5: 16, 6: 7, 7: 0}
    (cut,) = [row for window in days.values() for row in refused(window, {}, settings)]
    assert (cut["source_file"], cut["report_date"]) == ("2026-03-04/v01_20260304T235900Z.csv", date(2026, 3, 4))
    assert "breaks off" in cut["reason"]
    landing = tmp_path / "landing" / "covid" / "2026-03-01"
    landing.mkdir(parents=True)
    (landing / "x_20260302T000000Z.csv").write_text(OLD + ",A,2/1/20 1:00,1,2,3\n", encoding="utf-8")
    (only,) = places(days[2], {"folder": "covid"}, settings)
    assert only["location"] == "A"
    (landing / "latest.csv").write_text(OLD, encoding="utf-8")
    with pytest.raises(UsageError, match="does not say which day"):
        list(places(days[2], {"folder": "covid"}, settings))


def test_rows_are_the_contracts_fields() -> None:
    known = find_publications(SAMPLE)
    report = next(each for each in judge(known, known) if isinstance(each, Whole))
    fields = set(load_stream("covid_updates").field_names)
    assert {*next(rows(report)), "reported_for"} == fields
