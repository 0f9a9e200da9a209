"""The accepted differences in what clients print, and what ours must look like where they occur.

The ids are those of the rows in docs/differences.md, as in the judge. Each check is told what devpi-server led to and
what ours did, and says what is wrong with the latter.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Check = Callable[[str, str], str | None]


def _names_our_version(theirs: str, ours: str) -> str | None:
    """`devpi --version` shows one program more."""
    return _only_more(theirs, ours, r"    wheelhouse \d+\.\d+\.\d+\S*")


def _crash_is_refused(theirs: str, ours: str) -> str | None:
    """Where devpi-server crashes, ours says what the client did wrong."""
    unversioned = "WARN: devpi-client-"
    rest = [line for line in theirs.splitlines() if not line.startswith(unversioned)]
    wanted = [r"4\d\d [\w ]+: \S.*" if line == "500 Internal Server Error" else re.escape(line) for line in rest]
    if wanted == [re.escape(line) for line in rest]:
        return "devpi-server does not crash any more"
    return None if re.fullmatch("\n".join(wanted), ours) else "ours does not say what is wrong"


def _no_object(theirs: str, ours: str) -> str | None:
    """Where devpi-server shows an object of its own, ours shows the name."""
    wanted = re.sub(r"<devpi_server\\\.model\\\.User\\ object\\ at\\ 0x<address>>", r"<User '\\w+'>", re.escape(theirs))
    return None if re.fullmatch(wanted, ours) else "ours does not show the user's name in its place"


def _takes_metadata(theirs: str, ours: str) -> str | None:
    """pip reads the metadata of wheels first, and gets the wheels when it knows which ones it needs."""
    first, wheels = _downloads_apart(theirs)
    second, files = _downloads_apart(ours)
    if first != second:
        return "more than downloads differ"
    return None if sorted(files) == sorted([*wheels, *(f"{wheel}.metadata" for wheel in wheels)]) else "other downloads"


def _downloads_apart(text: str) -> tuple[list[str], list[str]]:
    """The lines that do not tell of a download, and what is downloaded."""
    rest, files = [], []
    for line in text.splitlines():
        match = re.fullmatch(r" *Downloading (\S+) \(.*\)", line)
        (files if match else rest).append(match[1] if match else line)
    return rest, files


def _other_server_header(theirs: str, ours: str) -> str | None:
    """`devpi getjson -v` shows all headers."""
    wanted = re.escape(theirs).replace("SERVER:\\ waitress", r"SERVER: Wheelhouse/\S+")
    return None if re.fullmatch(wanted, ours) else "there is more to it"


def _nothing_half_done(theirs: str, ours: str) -> str | None:
    """devpi-server keeps the metadata of a refused upload, whose summary the scenarios call new."""
    pairs = [pair for pair in zip(theirs.splitlines(), ours.splitlines(), strict=True) if len(set(pair)) > 1]
    good = all(re.fullmatch(r' *"summary": "new",', old) and re.fullmatch(r' *"summary": "(old|A sample.)",', new)
               for old, new in pairs)  # fmt: skip
    return None if good else "more than the summary differs"


def _fields_kept(theirs: str, ours: str) -> str | None:
    """devpi-client sends two fields twice, by their old names and by names that no specification has."""
    return _only_more(theirs, ours, r' *"(platforms": "any|supported_platforms": "linux)",')


def _unreachable_is_told(theirs: str, ours: str) -> str | None:
    """Where devpi-server crashes, ours says what it could not do."""
    if "500 Internal Server Error" not in theirs:
        return "devpi-server does not crash any more"
    told = r"502 Bad Gateway\n   -1 upload alice/dev/\+f/\S+ \S.*\nFailure during upload\n\(exit status 1\)$"
    return None if re.search(told, ours) else "ours does not tell"


def _anonymous_push_refused(theirs: str, ours: str) -> str | None:
    """Nobody pushes elsewhere without a login, so that nothing arrives there."""
    if "POST /ok/" in theirs:
        return None if ours == "" else "something arrived"
    return None if "401 Unauthorized: user None cannot push to other servers" in ours else "ours pushes"


def _only_more(theirs: str, ours: str, pattern: str) -> str | None:
    """Ours shows lines of one kind that devpi-server does not, and is the same otherwise."""
    rest = [line for line in ours.splitlines() if not re.fullmatch(pattern, line)]
    return None if rest == theirs.splitlines() else "there is more to it"


DIFFERENCES: dict[str, Check] = {
    "anonymous-push": _anonymous_push_refused,
    "core-metadata-on": _takes_metadata,
    "error-texts-internals": _no_object,
    "no-half-changes": _nothing_half_done,
    "push-unreachable": _unreachable_is_told,
    "server-errors": _crash_is_refused,
    "server-header": _other_server_header,
    "status-fields": _names_our_version,
    "unknown-fields": _fields_kept,
}
