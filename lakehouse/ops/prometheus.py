"""Samples in Prometheus' text format (version 0.0.4): as text, as a file for node_exporter, over HTTP.

Here: the format and its two ways out. Not here: measuring. Names carry the prefix `lakehouse_`.
"""

from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lakehouse.engine.embedded.files import write_atomically
from lakehouse.ops.samples import METRICS, Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "lakehouse_"


def exposition(samples: Iterable[Sample]) -> str:
    """All samples, each metric with its help and type; of one metric and one set of labels only the newest."""
    newest: dict[str, dict[tuple[tuple[str, str], ...], Sample]] = {}
    for sample in samples:
        series = newest.setdefault(sample.metric, {})
        labels = tuple(sorted(sample.labels.items()))
        if labels not in series or sample.at >= series[labels].at:
            series[labels] = sample
    lines = []
    for metric, series in sorted(newest.items()):
        lines.append(f"# HELP {PREFIX}{metric} {METRICS[metric].help}")
        lines.append(f"# TYPE {PREFIX}{metric} gauge")
        lines += [f"{PREFIX}{metric}{_labels(dict(labels))} {_number(s.value)}" for labels, s in sorted(series.items())]
    return "".join(f"{line}\n" for line in lines)


def write_textfile(samples: Iterable[Sample], path: Path) -> None:
    """Replace a `.prom` file, whole or not at all, as node_exporter's textfile collector wants it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, exposition(samples))


def server(port: int, measure: Callable[[], Iterable[Sample]], host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """A server that measures anew at every GET of /metrics; the caller runs and closes it. Port 0: any free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.split("?")[0] != "/metrics":
                self.send_error(404, "only /metrics is here")
                return
            try:
                body = exposition(measure()).encode()
            except Exception as error:  # noqa: BLE001 - the scraper must hear of it; the server goes on
                self.send_error(500, str(error).splitlines()[0][:200] if str(error) else type(error).__name__)
                return
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A line per scrape helps nobody."""

    return ThreadingHTTPServer((host, port), Handler)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(labels.items())) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
