"""Rows per second said in bytes: arithmetic that a claim of terabytes an hour can be held against."""

from benchmarks.figures import Figure
from benchmarks.throughput import bytes_per_core


def test_a_rate_in_bytes_per_core_says_how_many_cores_ten_terabytes_an_hour_are() -> None:
    rate = Figure("bronze_rows_per_second", "bronze", 400_000, "rows/s", "higher")
    each = bytes_per_core(rate, event_bytes=500, cores=2)
    assert (each.name, each.unit, each.value) == ("bronze_mb_per_second_per_core", "MB/s", 100.0)
    # 10 TB an hour are 2,778 MB/s.
    assert "28 such cores" in each.note
