"""Speed and memory of our server beside devpi-server's, measured in the same run: `make bench`.

The machines that run this are shared and noisy, so only the ratios mean something, and nothing here is asserted. Load
comes from a few processes on the loopback address, each with one connection; each measurement is bounded in time. For
our server the load generator, not the server, is often the limit: the ratios are lower bounds.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import multiprocessing
import statistics
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from judge import servers

PROCESSES = 2
SECONDS = 6.0
PROJECT_FILES = 100
BOUNDARY = "bench-5f0c7c1b"
AUTH = {"Authorization": "Basic " + base64.b64encode(b"root:").decode()}
ACCEPT = {"Accept": "application/vnd.pypi.simple.v1+json", "User-Agent": "pip/26.3", "Accept-Encoding": "identity"}
LONG_DESCRIPTION = "Something is said here about the project. " * 50


def wheel(project: str, version: str) -> tuple[str, bytes]:
    """The name and the bytes of a small wheel."""
    name = f"{project}-{version}-py3-none-any.whl"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        metadata = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n\n{LONG_DESCRIPTION}"
        archive.writestr(f"{project}-{version}.dist-info/METADATA", metadata)
        archive.writestr(f"{project}/__init__.py", f"version = {version!r}\n" * 100)
    return name, buffer.getvalue()


def upload(connection: http.client.HTTPConnection, project: str, version: str) -> None:
    """Uploads one wheel."""
    file_name, content = wheel(project, version)
    fields = {
        ":action": "file_upload",
        "name": project,
        "version": version,
        "requires_python": ">=3.8",
        "description": LONG_DESCRIPTION,
    }
    parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()]
    opening = f"--{BOUNDARY}\r\n"
    body = "".join(opening + part for part in parts).encode()
    body += f'{opening}Content-Disposition: form-data; name="content"; filename="{file_name}"\r\n\r\n'.encode()
    body += content + f"\r\n--{BOUNDARY}--\r\n".encode()
    headers = AUTH | {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    connection.request("POST", "/root/dev/", body, headers)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"upload of {file_name}: {answer.status} {answer.reason}")


def read_page(connection: http.client.HTTPConnection, *_: object) -> None:
    """Reads the page of the large project."""
    connection.request("GET", "/root/dev/+simple/large/", headers=ACCEPT)
    answer = connection.getresponse()
    page = answer.read()
    if answer.status != 200 or len(page) < 1000:
        raise RuntimeError(f"page: {answer.status}, {len(page)} bytes")


def upload_next(connection: http.client.HTTPConnection, process: int, count: int) -> None:
    """Uploads the next version of the process's own project."""
    upload(connection, f"project{process}", f"1.{count}")


def work(port: int, action: Callable[..., None], process: int, results: multiprocessing.Queue) -> None:
    """Repeats an action for the set time and reports how long each took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    taken = []
    end = time.perf_counter() + SECONDS
    while (started := time.perf_counter()) < end:
        action(connection, process, len(taken))
        taken.append(time.perf_counter() - started)
    results.put(taken)


def measure(port: int, action: Callable[..., None]) -> tuple[float, float]:
    """Actions per second of all processes together, and the median time of one in milliseconds."""
    results: multiprocessing.Queue = multiprocessing.Queue()
    processes = [multiprocessing.Process(target=work, args=(port, action, n, results)) for n in range(PROCESSES)]
    for process in processes:
        process.start()
    taken = [seconds for _ in processes for seconds in results.get(timeout=10 * SECONDS)]
    for process in processes:
        process.join()
    return len(taken) / SECONDS, 1000 * statistics.median(taken)


def resident_mib(server: servers.Server) -> float:
    """The memory that the server occupies, in MiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def bench(server: servers.Server) -> dict[str, float]:
    """All figures of one server."""
    figures = {"memory idle, MiB": resident_mib(server)}
    connection = http.client.HTTPConnection("127.0.0.1", server.address[1], timeout=60)
    connection.request("PUT", "/root/dev", json.dumps({}), AUTH)
    connection.getresponse().read()
    for number in range(PROJECT_FILES):
        upload(connection, "large", f"1.{number}")
    figures["uploads per second"], figures["upload, median ms"] = measure(server.address[1], upload_next)
    figures["warm page requests per second"], figures["warm page, median ms"] = measure(server.address[1], read_page)
    figures["memory after, MiB"] = resident_mib(server)
    return figures


def report(figures: Sequence[dict[str, float]]) -> None:
    """Prints a table with ratios."""
    print(f"{'':32}{'devpi-server':>14}{'Wheelhouse':>14}{'ratio':>10}")
    for key in figures[0]:
        theirs, ours = (side[key] for side in figures)
        ratio = ours / theirs if "per second" in key else theirs / ours
        print(f"{key:32}{theirs:14.1f}{ours:14.1f}{ratio:9.1f}x")


def main() -> int:
    """Benches both servers one after the other."""
    with servers.running([servers.reference(), servers.ours()], [(), ()]) as pair:
        report([bench(server) for server in pair])
    return 0


if __name__ == "__main__":
    sys.exit(main())
