"""Dumps of any size, as `devpi-export` writes them, of many small distributions that differ.

    python -m takeover.scale DIRECTORY --files 2000 --projects 200 --indexes 10

The archives are real, so that metadata can be read out of them, but cheap to make: nothing is worth compressing. The
same numbers give the same dump.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAST_MODIFIED = "Tue, 02 Jan 2024 03:04:05 GMT"
UPLOADED_AT = [2024, 1, 2, 3, 4, 5]
VERSIONS = 5
INDEXES_PER_USER = 5
NO_PASSWORD = "$argon2id$v=19$m=8,t=1,p=1$YWFhYWFhYWFhYWFhYWFhYQ$HMJ3m3wSBvYcnYJqgXyCLBoPeTxh8bTWmSHXXQuHyJY"
"""A hash as good as any: nobody logs in."""
LISTS = (
    "platform supported_platform provides requires obsoletes project_urls provides_dist obsoletes_dist requires_external"
    " provides_extras dynamic license_file"
).split()
TEXTS = (
    "author author_email maintainer maintainer_email keywords download_url comment description_content_type"
    " license_expression"
).split()


@dataclass(frozen=True)
class Size:
    """How much there is."""

    files: int
    projects: int
    indexes: int

    @property
    def files_per_project(self) -> int:
        return max(1, self.files // self.projects)

    @property
    def users(self) -> int:
        return max(1, self.indexes // INDEXES_PER_USER)


def metadata(name: str, version: str, text: str) -> dict[str, Any]:
    """A release's metadata, with all the fields that devpi writes."""
    filled = {
        "name": name,
        "version": version,
        "metadata_version": "2.1",
        "summary": f"Sample {name}.",
        "home_page": f"https://project.example/{name}",
        "license": "MIT",
        "description": text,
        "classifiers": ["Programming Language :: Python :: 3", "License :: OSI Approved :: MIT License"],
        "requires_dist": ["six>=1.0", "requests"],
        "requires_python": ">=3.8",
    }
    return filled | dict.fromkeys(TEXTS, "") | {key: [] for key in LISTS}


def core_metadata(fields: dict[str, Any]) -> bytes:
    """The same as METADATA or PKG-INFO."""
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {fields['name']}",
        f"Version: {fields['version']}",
        f"Summary: {fields['summary']}",
        f"Requires-Python: {fields['requires_python']}",
        *(f"Classifier: {classifier}" for classifier in fields["classifiers"]),
        *(f"Requires-Dist: {requirement}" for requirement in fields["requires_dist"]),
    ]
    return ("\n".join(lines) + f"\n\n{fields['description']}\n").encode()


def wheel(module: str, fields: dict[str, Any], code: bytes) -> bytes:
    """A wheel with one module."""
    info = f"{module}-{fields['version']}.dist-info"
    contents = {
        f"{module}.py": code,
        f"{info}/METADATA": core_metadata(fields),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: scale\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_record_hash(data)},{len(data)}\n" for path, data in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, data in contents.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), data)
    return packed.getvalue()


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def sdist(module: str, fields: dict[str, Any], code: bytes) -> bytes:
    """A source archive, without the padding that tar likes so much."""
    parts = []
    for path, data in (("PKG-INFO", core_metadata(fields)), (f"{module}.py", code)):
        header = tarfile.TarInfo(f"{module}-{fields['version']}/{path}")
        header.size = len(data)
        parts += [header.tobuf(), data, bytes(-len(data) % tarfile.BLOCKSIZE)]
    return gzip.compress(b"".join(parts) + bytes(2 * tarfile.BLOCKSIZE), compresslevel=1, mtime=0)


def archives(project: str, version: str, count: int, noise: random.Random) -> Iterator[tuple[str, bytes, dict]]:
    """So many files of a release with its metadata: a wheel, a source archive, and then further wheels."""
    module = project.replace("-", "_")
    fields = metadata(project, version, f"About {project} {version}. " + noise.randbytes(100).hex())
    code = f"__version__ = {version!r}\nNOISE = {noise.randbytes(noise.randrange(20, 900)).hex()!r}\n".encode()
    for number in range(count):
        if number == 1:
            yield f"{module}-{version}.tar.gz", sdist(module, fields, code), fields
        else:
            tag = f"py{number or 3}"
            yield f"{module}-{version}-{tag}-none-any.whl", wheel(module, fields, code + tag.encode()), fields


def index_names(size: Size) -> list[str]:
    """The indexes, user by user; each user's others inherit from the first."""
    return [f"user{number % size.users}/index{number // size.users}" for number in range(size.indexes)]


def index_config(name: str) -> dict[str, Any]:
    """How an index is set up."""
    user, _, short_name = name.partition("/")
    return {
        "type": "stage",
        "volatile": True,
        "bases": [] if short_name == "index0" else [f"{user}/index0"],
        "acl_upload": [user],
        "acl_toxresult_upload": [":ANONYMOUS:"],
        "mirror_whitelist": [],
        "mirror_whitelist_inheritance": "intersection",
    }


def users(size: Size) -> dict[str, Any]:
    """The owners of the indexes, and root."""
    names = ["root", *(f"user{number}" for number in range(size.users))]
    return {name: {"username": name, "pwhash": NO_PASSWORD, "created": "2024-01-02T03:04:05Z"} for name in names}


def generate(directory: Path, size: Size) -> int:
    """Writes the dump; gives the number of files."""
    names = index_names(size)
    indexes = {name: {"indexconfig": index_config(name), "projects": {}, "files": []} for name in names}
    written = 0
    for number in range(size.projects):
        index = names[number % len(names)]
        written += _add_project(directory, indexes[index], index, f"sample-{number:06}", size.files_per_project)
    dump = {"users": users(size), "indexes": indexes, "dumpversion": "2", "pythonversion": [3, 11, 7, "final", 0]}
    with (directory / "dataindex.json").open("w") as file:
        json.dump(dump | {"devpi_server": "6.20.3"}, file, indent=2)
    return written


def _add_project(directory: Path, target: dict[str, Any], index: str, project: str, files: int) -> int:
    noise = random.Random(project)
    written = 0
    for number in range(min(VERSIONS, files)):
        version = f"{number // 3}.{number}"
        place = directory / index / project / version
        place.mkdir(parents=True)
        count = files // VERSIONS + (number < files % VERSIONS)
        for filename, content, fields in archives(project, version, count, noise):
            (place / filename).write_bytes(content)
            target["projects"].setdefault(project, {})[version] = fields
            target["files"].append(_description(index, project, version, filename, content))
            written += 1
    return written


def _description(index: str, project: str, version: str, filename: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {
        "version": version,
        "entrymapping": {
            "last_modified": LAST_MODIFIED,
            "hash_spec": f"sha256={digest}",
            "hashes": {"sha256": digest},
            "project": project,
            "version": version,
        },
        "log": [{"what": "upload", "who": index.partition("/")[0], "when": UPLOADED_AT, "dst": index}],
        "type": "releasefile",
        "projectname": project,
        "relpath": f"{index}/{project}/{version}/{filename}",
    }


def main() -> None:
    """Writes a dump of the wanted size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    for name in ("files", "projects", "indexes"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args()
    print(generate(given.directory, Size(given.files, given.projects, given.indexes)))


if __name__ == "__main__":
    main()
