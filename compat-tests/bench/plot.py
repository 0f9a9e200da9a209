"""The plot of how costs grow, as SVG that can be read on light and on dark paper."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 44, 56
LINES = {
    "page": ("page, first time", "#1f77b4", "#6db3f2", ""),
    "upload": ("upload", "#d1495b", "#ff8a98", "7 4"),
    "delete": ("delete", "#2a7f3e", "#6fd08c", "2 4"),
    "list": ("list of projects", "#8a5a00", "#e0b050", "10 3 2 3"),
}
"""Titles, colours on light and on dark paper, and dashes, so that nothing depends on colours alone."""


def svg(points: Sequence[Mapping[str, float]]) -> str:
    """Milliseconds over the number of files, both in powers of ten."""
    files = [point["files"] for point in points]
    times = [point[kind] for point in points for kind in LINES]
    x_scale = _scale(min(files), max(files), LEFT, WIDTH - RIGHT)
    lowest, highest = 10 ** math.floor(math.log10(min(times))), 10 ** math.ceil(math.log10(max(times)))
    y_scale = _scale(lowest, highest, HEIGHT - BOTTOM, TOP)
    parts = [_text(LEFT, 22, "Milliseconds for one request, by the number of stored files", "title")]
    tick = lowest
    while tick <= highest * 1.001:
        y = y_scale(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{tick:g} ms", "end"))
        tick *= 10
    for count in files:
        x = x_scale(count)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(_text(x, HEIGHT - BOTTOM + 20, f"{count:,}", "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, "files", "middle"))
    labels = _apart({kind: y_scale(points[-1][kind]) for kind in LINES})
    for kind, (title, *_) in LINES.items():
        places = [(x_scale(point["files"]), y_scale(point[kind])) for point in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="line {kind}" points="{path}"/>')
        parts += [f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
        parts.append(_text(WIDTH - RIGHT + 12, labels[kind] + 4, title, f"label {kind}"))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="How costs grow with the number of files">\n<style>\n{_style()}</style>\n'
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>\n{body}\n</svg>\n'
    )


def _style() -> str:
    lines = [
        "text { font: 13px system-ui, sans-serif; fill: #333 }",
        ".title { font-weight: 600; fill: #111 }",
        ".end { text-anchor: end }",
        ".middle { text-anchor: middle }",
        ".paper { fill: #fff }",
        ".grid { stroke: #ddd; stroke-width: 1 }",
        ".line { fill: none; stroke-width: 2.5; stroke-linejoin: round }",
    ]
    dark = [".paper { fill: #0d1117 }", "text { fill: #c9d1d9 }", ".title { fill: #f0f6fc }", ".grid { stroke: #30363d }"]
    for kind, (_, light_colour, dark_colour, dashes) in LINES.items():
        lines.append(f".line.{kind} {{ stroke: {light_colour}; stroke-dasharray: {dashes or 'none'} }}")
        for rules, colour in ((lines, light_colour), (dark, dark_colour)):
            rules.append(f".dot.{kind}, .label.{kind} {{ fill: {colour} }}")
        dark.append(f".line.{kind} {{ stroke: {dark_colour} }}")
    return "\n".join([*lines, "@media (prefers-color-scheme: dark) {", *(f"  {line}" for line in dark), "}", ""])


def _scale(low: float, high: float, start: float, end: float):
    span = math.log10(high) - math.log10(low) or 1
    return lambda value: start + (math.log10(value) - math.log10(low)) / span * (end - start)


def _apart(places: Mapping[str, float], distance: float = 17) -> dict[str, float]:
    """The same heights, moved down where two labels would touch."""
    moved: dict[str, float] = {}
    last = -math.inf
    for kind, y in sorted(places.items(), key=lambda item: item[1]):
        last = moved[kind] = max(y, last + distance)
    return moved


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{html.escape(text)}</text>'
