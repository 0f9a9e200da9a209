"""What the benchmark says follows from what it measured: ratios, goals, the table and the plot."""

import xml.etree.ElementTree as ElementTree

import pytest

from bench import plot, table, uploads
from bench.rows import LIMIT, NGINX, OURS, TOO_SLOW, Below, Ratio, Row, judge, number
from bench.subjects import links


def row(*goals: Ratio | Below, more_is_better: bool = True, **values: list[float]) -> Row:
    """A row with values of ours and of nginx."""
    names = {"ours": OURS, "nginx": NGINX, "limit": LIMIT}
    found = {names[name]: value for name, value in values.items()}
    return Row("page", "1/s", goals, more_is_better, values=found)


@pytest.mark.parametrize(
    ("measured", "reached"),
    [
        (row(Ratio(NGINX, 0.9), ours=[80, 95, 99], nginx=[100]), True),
        (row(Ratio(NGINX, 0.9), ours=[80, 85, 99], nginx=[100]), False),
        (row(Ratio(NGINX, 1), more_is_better=False, ours=[9], nginx=[10]), True),
        (row(Ratio(NGINX, 1), more_is_better=False, ours=[11], nginx=[10]), False),
        (row(Below(20), ours=[19.9]), True),
        (row(Below(20), ours=[20]), False),
        (row(Ratio(NGINX, 1), ours=[1]), None),
    ],
)
def test_goals(measured: Row, reached: bool | None) -> None:
    """Medians are compared; a ratio above one is good for rates and for times."""
    assert judge(measured, measured.goals[0]).reached is reached


def test_wrong_answers_do_not_count() -> None:
    """A server that once answered wrongly has no number, nor is anything compared with it."""
    measured = row(Ratio(NGINX, 1), ours=[5], nginx=[1])
    measured.failures[NGINX] = "wrong"
    assert judge(measured, measured.goals[0]).reached is None
    assert "failed" in table.cells(measured)
    measured.failures[NGINX] = TOO_SLOW
    assert TOO_SLOW in table.cells(measured)


def test_table() -> None:
    """A line says what was reached; what is only for information has no goal to miss."""
    missed, informed = row(Ratio(NGINX, 1), ours=[1], nginx=[2]), row(Ratio(LIMIT, 0), ours=[1], limit=[2])
    text = table.markdown([missed, informed])
    assert "| 0.5 × (≥ 1 × nginx) **no** | no |" in text
    assert f"| 0.5 × {LIMIT} |  |" in text


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (0.0123, "0.012"), (1.234, "1.23"), (45678, "45,678")])
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("received", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Le", False),
    ],
)
def test_whole_answers(received: bytes, whole: bool) -> None:
    assert uploads.whole(received) is whole


def test_links() -> None:
    """Of both kinds of page, without their hashes."""
    page = b'<a href="../../+f/ab/x-1.0.whl#sha256=1">x-1.0.whl</a>'
    assert links("/root/dev/+simple/x/", page, "text/html") == {"x-1.0.whl": "/root/dev/+f/ab/x-1.0.whl"}
    page = b'{"files": [{"filename": "x-1.0.whl", "url": "/files/x-1.0.whl"}]}'
    assert links("/simple/x/", page, "application/vnd.pypi.simple.v1+json") == {"x-1.0.whl": "/files/x-1.0.whl"}


def test_plot() -> None:
    """The plot is well-formed, and has a line with a label for each kind."""
    points = [dict.fromkeys(plot.LINES, float(step)) | {"files": 10.0**step} for step in range(3, 7)]
    root = ElementTree.fromstring(plot.svg(points))
    name = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{name}polyline")) == len(plot.LINES)
    labels = [text.text for text in root.findall(f"{name}text") if "label" in text.get("class")]
    assert labels == [title for title, *_ in plot.LINES.values()]
