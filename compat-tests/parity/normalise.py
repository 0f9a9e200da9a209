"""Takes out of a text what differs between two runs by nature: addresses, directories, tokens, times.

Each becomes a word in angle brackets or the template it came from, so that its presence is still compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Also within JSON, where the quotes are escaped.
_TOKEN = re.compile(r'\[\\?"(\w+)\\?", \[[^\]]*\], (?:true|false)\]\.[\w-]+\.[\w-]+')
_ESCAPED_TOKEN = re.compile(r"%5B%22(\w+)%22%2C%20%5B%5D%2C%20(?:true|false)%5D\.[\w-]+\.[\w-]+")

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\r\n?", "\n"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", "<date>"),
        (r'("when": )\[[\s\d,]*\]', r"\1<time>"),
        (r"toxresult-\d{14}-", "toxresult-<time>-"),
        (r"• \d\d:\d\d • .*", "• <progress>"),
        # twine breaks lines at 80 columns, also within a path.
        (r"(Using configuration from)\s[\s\S]{1,400}?\.pypirc", r"\1 <file>"),
        (r"\(\d[\d.=+a-z\[\]]* seconds\)", "(<duration>)"),
        (r"\bpid=\d+", "pid=<number>"),
        # tox says "4 seconds", "3.5 seconds", "1 second", "1 minute", "2 minutes 3.5 seconds".
        (r"\bin (?:\d+ minutes?(?: \d[\d.]* seconds?)?|\d[\d.]* seconds?)\b", "in <duration>"),
        (r"\b(devpi-(?:test-)?)[a-z0-9_]{8}(?=[/$\s])", r"\1<random>"),
        (r"(build-env-|pip-[a-z-]+-|tmp)[a-z0-9_]{8}\b", r"\1<random>"),
        # pip names the directory of a wheel it has built after the path of what it has built it from.
        (r"(/wheels/)[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]+", r"\1<directory>"),
        (r"0x[0-9a-f]{6,}", "0x<address>"),
        (r"(X-DEVPI-(?:SERIAL|UUID|MASTER-UUID|PRIMARY-UUID|REPLICA-UUID)): \w+", r"\1: <of this server>"),
        (r"(?m)[ \t]+$", ""),
    )
)
_HASHES = re.compile(r"\+f/[0-9a-f]{3}/[0-9a-f]{13}/|(?<=sha256=)[0-9a-f]{64}|\b[0-9a-f]{64}\b")


def normalise(text: str, names: Mapping[str, str], *, hashes: bool) -> str:
    """The text with each of `names` replaced by its template; `hashes` says whether those of files are to be kept."""
    text = _TOKEN.sub(r"<token of \1>", _ESCAPED_TOKEN.sub(r"<token of \1>", text))
    for value in sorted(names, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.]){re.escape(value)}(?!\d)", names[value], text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text if hashes else _HASHES.sub("<hash>", text)
