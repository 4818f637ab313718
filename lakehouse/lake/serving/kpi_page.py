"""The live page of key figures: one HTML file that needs no network and asks for itself again every five seconds.

Here: the page and writing it. Not here: the figures (`lake.serving.view`), when it is written (the speed layer's runs).
"""

import html
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lakehouse.engine.embedded.files import write_atomically
from lakehouse.lake.serving.view import Kpis, read_kpis
from lakehouse.settings import Settings

REFRESH_SECONDS = 5
_WIDTH, _HEIGHT = 720, 160
_COLOURS = {"view": "#4a7fb5", "click": "#e0a33e", "purchase": "#3c9a5f"}
_CARDS = (
    ("events", "Events today"),
    ("active_users", "Active users"),
    ("page_views", "Views"),
    ("clicks", "Clicks"),
    ("purchases", "Purchases"),
    ("revenue", "Revenue"),
)
_STYLE = """
body{font:15px/1.4 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1d2733;background:#fafbfc}
h1{font-size:1.3rem;margin:0} h2{font-size:1rem;margin:1.6rem 0 .4rem} .note{color:#5b6b7b;margin:.2rem 0 1.2rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.7rem}
.card{background:#fff;border:1px solid #dde3ea;border-radius:6px;padding:.6rem .8rem}
.card b{display:block;font-size:1.35rem} table{border-collapse:collapse;width:100%;background:#fff}
td,th{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #e6ebf0}
td:first-child,th:first-child{text-align:left}
svg{background:#fff;border:1px solid #dde3ea;border-radius:6px;width:100%;height:auto}
"""


@dataclass(frozen=True)
class KpiPage:
    """The page that was written, and the figures on it."""

    path: Path
    kpis: Kpis


def page_path(settings: Settings) -> Path:
    """Where the page lies."""
    return settings.home / "serving" / "kpis.html"


def publish_kpis(settings: Settings) -> KpiPage:
    """Read the figures and replace the page as a whole."""
    kpis = read_kpis(settings)
    path = page_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, render(kpis, now=datetime.now(UTC)))
    return KpiPage(path, kpis)


def render(kpis: Kpis, *, now: datetime) -> str:
    """The page as text."""
    cards = "".join(f'<div class="card">{label}<b>{_figure(kpis.today[name])}</b></div>' for name, label in _CARDS)
    as_of = f"{kpis.as_of:%Y-%m-%d %H:%M:%S}" if kpis.as_of else "no event yet"
    boundary = f"up to {kpis.boundary} from the batch view, after it" if kpis.boundary else "all days"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Key figures</title>'
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}"><meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style></head><body><h1>Key figures</h1>"
        f'<p class="note">Newest event {as_of} UTC; written {now:%H:%M:%S} UTC; {boundary} from the speed layer.</p>'
        f'<div class="cards">{cards}</div><h2>Events per five minutes, a window every minute</h2>{_chart(kpis.recent)}'
        f"<h2>Days</h2>{_days(kpis.by_day)}</body></html>\n"
    )


def _chart(recent: list[dict[str, Any]]) -> str:
    """A line per event type over the closed windows."""
    moments = sorted({row["window_start"] for row in recent})
    if not moments:
        return '<p class="note">No closed window yet.</p>'
    top = max(row["event_count"] for row in recent)
    place = {moment: _WIDTH * number / max(1, len(moments) - 1) for number, moment in enumerate(moments)}
    lines = []
    for kind, colour in _COLOURS.items():
        counted = {row["window_start"]: row["event_count"] for row in recent if row["event_type"] == kind}
        points = " ".join(
            f"{place[moment]:.1f},{_HEIGHT - (_HEIGHT - 20) * counted.get(moment, 0) / top:.1f}" for moment in moments
        )
        lines.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')
    legend = " · ".join(f'<tspan fill="{colour}">{kind}</tspan>' for kind, colour in _COLOURS.items())
    ends = f"{moments[0]:%H:%M} to {moments[-1]:%H:%M} UTC, highest {_figure(top)}"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 24}" role="img" aria-label="Events per window">{"".join(lines)}'
        f'<text x="8" y="{_HEIGHT + 18}" font-size="12">{legend} <tspan fill="#5b6b7b">{ends}</tspan></text></svg>'
    )


def _days(by_day: list[dict[str, Any]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("Day", "Layer", *(label for _, label in _CARDS)))
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{_figure(day[name])}</td>" for name in ("date", "layer", *(name for name, _ in _CARDS)))
        + "</tr>"
        for day in reversed(by_day)
    )
    return f"<table><tr>{head.replace('Events today', 'Events')}</tr>{rows}</table>"


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else html.escape(str(value))
