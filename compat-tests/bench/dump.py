"""Dumps with very many files, for `devpi-import`: one index, ten small wheels of each project, no two of them alike."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from takeover import scale

from . import data
from .subjects import INDEX

WORKERS = 2
PARTS = 16


@dataclass(frozen=True)
class Size:
    """How many projects there are, and files of each."""

    projects: int
    files_each: int = 10

    @property
    def files(self) -> int:
        return self.projects * self.files_each

    def name(self, number: int) -> str:
        return f"sample-{number:06}"


def write(directory: Path, size: Size) -> None:
    """Writes the dump."""
    directory.mkdir(parents=True)
    bounds = [size.projects * part // PARTS for part in range(PARTS + 1)]
    jobs = [(directory, size, part, start, end) for part, (start, end) in enumerate(itertools.pairwise(bounds))]
    with ProcessPoolExecutor(WORKERS) as pool:
        list(pool.map(_write_part, jobs))
    user = {"username": "root", "pwhash": scale.NO_PASSWORD, "created": "2024-01-02T03:04:05Z"}
    config = {"type": "stage", "volatile": True, "bases": [], "acl_upload": ["root"]}
    with (directory / "dataindex.json").open("wb") as index:
        head = {"users": {"root": user}, "dumpversion": "2", "devpi_server": "6.20.3"}
        index.write(json.dumps(head).encode()[:-1])
        index.write(f', "indexes": {{{json.dumps(INDEX)}: {{"indexconfig": {json.dumps(config)}'.encode())
        for key, opening, closing in (("projects", "{", "}"), ("files", "[", "]")):
            index.write(f', "{key}": {opening}'.encode())
            written = False
            for part in range(PARTS):
                path = directory / f"{key}-{part}"
                if path.stat().st_size:
                    index.write(b",\n" if written else b"\n")
                    written = True
                    with path.open("rb") as source:
                        shutil.copyfileobj(source, index)
                path.unlink()
            index.write(closing.encode())
        index.write(b"}}}\n")


def _write_part(job: tuple[Path, Size, int, int, int]) -> None:
    directory, size, part, start, end = job
    with (directory / f"projects-{part}").open("w") as projects, (directory / f"files-{part}").open("w") as files:
        comma = ""
        for number in range(start, end):
            name = size.name(number)
            versions = {}
            described = []
            # devpi-export has a directory for each version, too; without these there is less to make and to remove.
            place = directory / INDEX / name
            place.mkdir(parents=True)
            for version, filename, content in releases(name, size.files_each):
                (place / filename).write_bytes(content)
                versions[version] = {
                    "name": name,
                    "version": version,
                    "metadata_version": "2.1",
                    "summary": f"Sample {name}.",
                    "requires_python": ">=3.8",
                }
                described.append(json.dumps(_description(name, version, filename, content)))
            projects.write(f"{comma}{json.dumps(name)}: {json.dumps(versions)}")
            files.write(comma + ",\n".join(described))
            comma = ",\n"


def releases(name: str, count: int) -> Iterator[tuple[str, str, bytes]]:
    """Version, file name and content of each file of a project."""
    for number in range(count):
        made = data.wheel(name, f"1.{number}")
        yield made.version, made.filename, made.content


def _description(project: str, version: str, filename: str, content: bytes) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    return {
        "version": version,
        "entrymapping": {
            "last_modified": scale.LAST_MODIFIED,
            "hash_spec": f"sha256={digest}",
            "hashes": {"sha256": digest},
            "project": project,
            "version": version,
        },
        "log": [{"what": "upload", "who": "root", "when": scale.UPLOADED_AT, "dst": INDEX}],
        "type": "releasefile",
        "projectname": project,
        "relpath": f"{INDEX}/{project}/{filename}",
    }
