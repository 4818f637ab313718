"""Files of the simulated gift shop: what the contract of `retail` takes, with a few lines that it rejects."""

from collections import Counter
from datetime import date

from lakehouse.contracts.load import load_stream
from lakehouse.sources.csv_files import check_csv, events
from lakehouse.sources.files import require_columns
from lakehouse.sources.retail import lines_of, write_day

DAY = date(2026, 11, 21)


def test_the_file_is_one_of_the_stream(tmp_path):
    path = write_day(tmp_path / "landing", DAY, 400, seed=7)
    file = check_csv(path, path.name)
    needed = {spec.key for spec in load_stream("retail").fields if spec.derive is None and spec.key[:1] != "_"}
    require_columns([file], needed, "retail")
    assert file.rows == len(list(events(file, after=0))) == 400
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_the_same_day_and_seed_give_the_same_lines():
    assert list(lines_of(DAY, 50, seed=7)) == list(lines_of(DAY, 50, seed=7))
    assert list(lines_of(DAY, 50, seed=7)) != list(lines_of(DAY, 50, seed=8))


def test_there_is_some_of_everything_that_the_real_files_hold():
    lines = list(lines_of(DAY, 2_000, seed=7))
    rejected = [line for line in lines if (int(line[3]) < 0) != line[0].startswith("C")]
    assert 0 < len(rejected) < 60, "stock adjustments, which are no sales"
    assert any(line[0].startswith("C") for line in lines), "cancellations"
    assert any(line[6] == "" for line in lines), "guests"
    assert max(Counter(lines).values()) > 1, "lines that come twice"
    assert {line[4][:10] for line in lines} == {DAY.isoformat()}
