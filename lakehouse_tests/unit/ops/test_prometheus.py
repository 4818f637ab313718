"""The exposition format, read back by a parser that follows its grammar; the endpoint; the text file."""

import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.ops.host import sample_host
from lakehouse.ops.prometheus import CONTENT_TYPE, exposition, server, write_textfile
from lakehouse.ops.samples import METRICS, Sample
from lakehouse.settings import PROJECT_ROOT

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LINE = re.compile(rf'^({NAME})(?:\{{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\}})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"')
_PLAIN = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What the text says; fails on anything that the format (0.0.4) does not allow."""
    assert not text or text.endswith("\n")
    found = {}
    typed: set[str] = set()
    for line in text.split("\n")[:-1]:
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind == "gauge"
            assert name not in typed, "a metric's lines stand together, its type once"
            typed.add(name)
            continue
        if line.startswith("# HELP "):
            continue
        match = LINE.match(line)
        assert match, line
        assert match[1] in typed
        labels = tuple(
            (name, re.sub(r'\\[n"\\]', lambda m: _PLAIN[m[0]], value)) for name, value in LABEL.findall(match[2] or "")
        )
        assert (match[1], labels) not in found, "no series twice"
        found[match[1], labels] = float(match[3])
    return found


@given(
    samples=st.lists(
        st.builds(
            Sample,
            metric=st.sampled_from(sorted(METRICS)),
            value=st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 10**12),
            labels=st.dictionaries(st.sampled_from(["stream", "host", "reason"]), st.text(max_size=20)),
            at=st.datetimes(timezones=st.just(UTC)),
        ),
        max_size=20,
    )
)
def test_whatever_is_measured_can_be_read_back(samples: list[Sample]) -> None:
    newest: dict[tuple[str, tuple[tuple[str, str], ...]], Sample] = {}
    for sample in samples:
        key = (f"lakehouse_{sample.metric}", tuple(sorted(sample.labels.items())))
        if key not in newest or sample.at >= newest[key].at:
            newest[key] = sample
    assert parsed(exposition(samples)) == {key: sample.value for key, sample in newest.items()}


def test_the_endpoint_measures_anew_and_survives_a_failure(tmp_path: Path) -> None:
    calls = 0

    def measure() -> list[Sample]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("no answer")
        return [Sample("cpu_percent", float(calls), {"host": "h"}, NOW)]

    with server(0, measure) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{web.server_port}"
        try:
            first = httpx.get(f"{url}/metrics")
            assert first.headers["Content-Type"] == CONTENT_TYPE
            assert parsed(first.text) == {("lakehouse_cpu_percent", (("host", "h"),)): 1.0}
            assert httpx.get(f"{url}/metrics").status_code == 500
            assert " 3\n" in httpx.get(f"{url}/metrics").text
            assert httpx.get(f"{url}/other").status_code == 404
        finally:
            web.shutdown()
            thread.join()


def test_the_machine_is_measured_and_written(tmp_path: Path) -> None:
    samples = sample_host(tmp_path / "not" / "there" / "yet", now=NOW, cpu_seconds=0.01)
    assert [sample.metric for sample in samples] == ["cpu_percent", "memory_percent", "disk_percent"]
    assert all(0 <= sample.value <= 100 for sample in samples)
    path = tmp_path / "metrics" / "lakehouse.prom"
    write_textfile(samples, path)
    assert len(parsed(path.read_text(encoding="utf-8"))) == 3


def test_an_event_of_a_sample_has_the_same_id_for_the_same_figure() -> None:
    sample = Sample("consumer_lag_rows", 7, {"stream": "sales", "a": "b"}, NOW)
    again = Sample("consumer_lag_rows", 7, {"a": "b", "stream": "sales"}, NOW)
    assert sample.as_event("h") == again.as_event("h")
    ids = {s.as_event(host)["sample_id"] for host in "hi" for s in (
        sample, Sample("consumer_lag_rows", 7, {"stream": "retail"}, NOW),
        Sample("consumer_lag_rows", 7, {"stream": "sales"}, NOW + timedelta(seconds=1)),
    )}  # fmt: skip
    assert len(ids) == 6
    with pytest.raises(ValueError, match="no known metric"):
        Sample("no_such", 1.0)


def test_the_scrape_configuration_asks_for_what_the_endpoint_serves() -> None:
    config = yaml.safe_load((PROJECT_ROOT / "infra" / "monitoring" / "prometheus.yml").read_text(encoding="utf-8"))
    (job,) = config["scrape_configs"]
    page = (PROJECT_ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    (port,) = re.findall(r"`lakehouse metrics --serve (\d+)`", page)
    assert job["static_configs"] == [{"targets": [f"127.0.0.1:{port}"]}]
    assert job["metrics_path"] == "/metrics"
    seconds = [int(config["global"][name].removesuffix("s")) for name in ("scrape_timeout", "scrape_interval")]
    assert seconds[0] <= seconds[1], "Prometheus refuses a longer one"
