"""Run an upstream for load tests: `python -m upstream --projects 800000` in the directory above.

It prints `Upstream at URL` when it listens and serves until it is stopped. `GET /+counts` answers how many requests
came for each path and how many at once, as JSON; `GET /+counts?forget` also sets them to zero.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading

from . import Catalogue, FakeUpstream, File, Generated, Project, Resource
from .faults import Fault


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m upstream", description="A fake package index for load tests.")
    parser.add_argument("--port", type=int, default=0, help="0 for any free one (default)")
    parser.add_argument("--projects", type=int, default=1000, help="how many generated projects are listed")
    parser.add_argument("--files", type=int, default=3, help="files of each generated project")
    parser.add_argument("--file-size", type=int, default=1000, help="bytes of each of these files")
    parser.add_argument("--format", choices=["html", "json", "negotiated"], default="negotiated", help="of all pages")
    parser.add_argument("--large", type=int, action="append", default=[], metavar="BYTES",
                        help="also a project large-BYTES with one file large_BYTES-1.0.zip (repeatable)")  # fmt: skip
    parser.add_argument("--many", type=int, action="append", default=[], metavar="FILES",
                        help="also a project many-FILES with so many files (repeatable)")  # fmt: skip
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--no-gzip", action="store_true", help="never compress pages")
    arguments = parser.parse_args()
    with start(arguments) as upstream:
        done = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: done.set())
        print(f"Upstream at {upstream.url}", flush=True)
        done.wait()


def start(arguments: argparse.Namespace) -> FakeUpstream:
    """The upstream that the command line asks for, with its project lists made."""
    upstream = _Counting(port=arguments.port, keep_requests=False)
    compress = not arguments.no_gzip
    upstream.catalogue = Catalogue(
        arguments.projects, arguments.files, arguments.file_size, format=arguments.format, gzip=compress
    )
    upstream.list_format, upstream.list_gzip = arguments.format, compress
    for size in arguments.large:
        file = File(f"large_{size}-1.0.zip", Generated(size))
        upstream.add(Project(f"large-{size}", [file], format=arguments.format))
    for count in arguments.many:
        files = [File(f"many_{count}-{number}.zip", b"%d" % number) for number in range(count)]
        upstream.add(Project(f"many-{count}", files, format=arguments.format, gzip=compress))
    if arguments.delay:
        upstream.fault("/simple/*", Fault(delay=arguments.delay))
        upstream.fault("/files/*", Fault(delay=arguments.delay))
    upstream.prepare()
    return upstream


class _Counting(FakeUpstream):
    """Tells over HTTP what it counted, since whoever loads it is another process."""

    def resource(self, target: str) -> Resource | None:
        path, _, query = target.partition("?")
        if path != "/+counts":
            return super().resource(target)
        counts = {
            path: {"requests": count, "at_once": self.most_at_once(path)} for path, count in self.counts().items()
        }
        if query == "forget":
            self.forget()
        return Resource(json.dumps(counts), "application/json")


if __name__ == "__main__":
    main()
