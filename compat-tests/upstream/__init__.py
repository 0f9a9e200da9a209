"""A fake upstream package index: what a mirror reads from, with every kindness and every fault a real one has.

    from upstream import FakeUpstream, Fault, File, Generated, Project

    with FakeUpstream() as upstream:
        upstream.add(Project("pkg", [File("pkg-1.0.tar.gz", b"content", requires_python=">=3.8")]))
        ...                                          # a mirror of upstream.url ("http://127.0.0.1:PORT/simple/")
        upstream.fault("/simple/pkg/", status=503)   # until upstream.heal("/simple/pkg/")
        upstream.fault("/files/pkg-1.0.tar.gz", cut_after=3, times=1)
        assert upstream.count("/simple/pkg/") == 2
        upstream.stop()                              # connections are refused until upstream.start()

It listens on 127.0.0.1 on a port of its own, which it keeps over `stop` and `start`; `localhost` with the same port is
another host to its clients. Paths: `/simple/` is the project list, `/simple/NAME/` a project page, `/files/FILENAME` a
file, with `.metadata` and `.provenance` beside it; `put` and `redirect` answer at any other path, or at one of these
instead.

`model` says what is published, `pages` renders it, `faults` what goes wrong, `recording` what was asked, `messages`
and `server` speak HTTP, `fake` brings it together, and `python -m upstream` runs it for load tests.
"""

from .fake import FakeUpstream
from .faults import Fault, Gate
from .model import AUTOMATIC, OMITTED, Catalogue, File, Generated, Project, Resource
from .recording import Recorded

__all__ = [
    "AUTOMATIC",
    "OMITTED",
    "Catalogue",
    "FakeUpstream",
    "Fault",
    "File",
    "Gate",
    "Generated",
    "Project",
    "Recorded",
    "Resource",
]
