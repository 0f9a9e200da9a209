"""Sample distributions and projects, made on the spot: nothing here is downloaded.

A wheel holds one module, named like the project with underscores, whose ``__version__`` tells which one was installed.
"""

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path


def module_name(name: str) -> str:
    """The name in the form that file names and modules have."""
    return name.replace("-", "_").replace(".", "_").lower()


def metadata(
    name: str, version: str, *, summary: str = "A sample.", requires: Iterable[str] = (), requires_python: str = ""
) -> str:
    """The text of METADATA or PKG-INFO."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Summary: {summary}"]
    lines += [f"Requires-Python: {requires_python}"] if requires_python else []
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return "\n".join([*lines, "", "About this sample.", ""])


def wheel(directory: Path, name: str, version: str, *, padding: bytes = b"", **fields) -> Path:
    """A wheel that installs everywhere; ``padding`` is stored as it is, to make the file larger."""
    module = module_name(name)
    info = f"{module}-{version}.dist-info"
    contents = {
        f"{module}.py": f'__version__ = "{version}"\n'.encode(),
        f"{info}/METADATA": metadata(name, version, **fields).encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: compat-tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if padding:
        contents[f"{module}_padding.bin"] = padding
    record = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}\n"
        for path, data in contents.items()
    ]
    contents[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    path = directory / f"{module}-{version}-py3-none-any.whl"
    directory.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in contents.items():
            archive.writestr(zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0)), data)
    return path


def sdist(directory: Path, name: str, version: str, **fields) -> Path:
    """A source archive that carries its metadata and can be built with setuptools."""
    module = module_name(name)
    contents = {
        "PKG-INFO": metadata(name, version, **fields),
        "setup.py": setup_py(name, version),
        f"{module}.py": f'__version__ = "{version}"\n',
    }
    path = directory / f"{module}-{version}.tar.gz"
    directory.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(path, "wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for member, text in contents.items():
            entry = tarfile.TarInfo(f"{module}-{version}/{member}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def setup_py(name: str, version: str) -> str:
    """A setup script as people wrote them before pyproject.toml."""
    return f"""from setuptools import setup

setup(
    name="{name}",
    version="{version}",
    description="A sample.",
    url="https://project.example/{name}",
    author="Ada",
    author_email="ada@project.example",
    py_modules=["{module_name(name)}"],
)
"""


def project(directory: Path, name: str, version: str) -> Path:
    """A directory with a ``setup.py`` and one module, ready to be built."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "setup.py").write_text(setup_py(name, version))
    (directory / f"{module_name(name)}.py").write_text(f'__version__ = "{version}"\n')
    return directory


def sha256(path: Path) -> str:
    """The hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
