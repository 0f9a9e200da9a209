"""Sample projects that build themselves, alike each time and without a network, and archives of documentation."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import packages

# A build backend that lies in the project: it needs nothing, so that isolated builds need no index, and its archives
# are the same on both sides.
BACKEND = '''import pathlib, sys

sys.path.insert(0, {tests!r})
import packages
from parity import projects

NAME, VERSION = {name!r}, {version!r}


def build_sdist(directory, settings=None):
    files = {{name: pathlib.Path(name).read_text() for name in ("pyproject.toml", "backend.py")}}
    return projects.sdist(pathlib.Path(directory), NAME, VERSION, files=files).name


def build_wheel(directory, settings=None, metadata=None):
    return packages.wheel(pathlib.Path(directory), NAME, VERSION).name


build_editable = build_wheel
'''
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
INDEX_PAGE = "About\n=====\n\nThis is {name}.\n"


def project(
    directory: Path, name: str, version: str, *, files: Mapping[str, str] = {}, configuration: str = ""
) -> None:
    """A directory with a project that can be built; `configuration` is added to its pyproject.toml."""
    tests = str(Path(packages.__file__).parent)
    contents = {
        "pyproject.toml": PYPROJECT + configuration,
        "backend.py": BACKEND.format(tests=tests, name=name, version=version),
        "docs/conf.py": f'project = "{name}"\n',
        "docs/index.rst": INDEX_PAGE.format(name=name),
        **files,
    }
    for path, text in contents.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)


def sdist(directory: Path, name: str, version: str, *, files: Mapping[str, str], suffix: str = ".tar.gz") -> Path:
    """A source archive with files of one's own, as a tar or a zip archive."""
    top = f"{name}-{version}"
    contents = {"PKG-INFO": packages.metadata(name, version), **files}
    directory.mkdir(parents=True, exist_ok=True)
    return archive(directory / f"{top}{suffix}", {f"{top}/{path}": text for path, text in contents.items()})


def documentation(directory: Path, name: str, *, text: str = "It is all here.") -> None:
    """An archive of built documentation, whose kind the name tells."""
    directory.mkdir(parents=True, exist_ok=True)
    archive(directory / name, {"index.html": f"<html><body>{text}</body></html>", "more/page.html": "<html></html>"})


def archive(path: Path, contents: Mapping[str, str]) -> Path:
    """Packs texts, alike each time."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for member, text in contents.items():
                packed.writestr(zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0)), text)
        return path
    with gzip.GzipFile(path, "wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as packed:
        for member, text in contents.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(text.encode())
            packed.addfile(entry, io.BytesIO(text.encode()))
    return path
