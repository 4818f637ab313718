"""Small plots without a library: bars as inline SVG for reports, as characters for Dagster's and the terminal's text.

Here: numbers → text. Not here: where the numbers come from (`quality.profile`).
"""

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """One character per value, as high as its share of the largest; nothing for nothing."""
    top = max(values, default=0.0)
    if top <= 0:
        return _BLOCKS[0] * len(values)
    return "".join(_BLOCKS[min(7, int(8 * max(0.0, value) / top))] for value in values)


def bars_svg(values: Sequence[float], labels: Sequence[str], *, width: int = 220, height: int = 48) -> str:
    """A bar chart as an SVG element; each bar's label and value is its tooltip.

    Raises:
        ValueError: when there is not one label for each value.
    """
    if len(values) != len(labels):
        raise ValueError("a bar chart needs a label for each value")
    if not values:
        return ""
    top = max(*values, 1e-12)
    step = width / len(values)
    bars = []
    for number, (value, label) in enumerate(zip(values, labels, strict=True)):
        tall = max(0.0, value) / top * (height - 2)
        bars.append(
            f'<rect x="{number * step:.1f}" y="{height - tall:.1f}" width="{max(1.0, step - 1):.1f}" '
            f'height="{tall:.1f}"><title>{escaped(label)}: {value:,.6g}</title></rect>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" fill="#4f7cac">{"".join(bars)}</svg>'
    )


def escaped(text: object) -> str:
    """Text that HTML and SVG take as text."""
    import html

    return html.escape(str(text), quote=True)
