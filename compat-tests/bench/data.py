"""What is uploaded: small but valid wheels and source archives, and forms around them that are ready to be sent."""

from __future__ import annotations

import hashlib
import os
import random
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from takeover import scale

BOUNDARY = "bench-5f0c7c1b"
MEGABYTE = 1_000_000
_BLOCK = 4 * MEGABYTE


@dataclass(frozen=True)
class Distribution:
    """A file with what its upload says of it."""

    project: str
    version: str
    filename: str
    content: bytes

    def fields(self) -> dict[str, str]:
        return form_fields(self.project, self.version, self.filename, hashlib.sha256(self.content).hexdigest())

    def form(self) -> bytes:
        """The whole body of an upload."""
        head, tail = form_around(self.fields(), self.filename)
        return head + self.content + tail


def form_fields(project: str, version: str, filename: str, sha256: str) -> dict[str, str]:
    """The fields that uploaders send."""
    is_wheel = filename.endswith(".whl")
    return {
        ":action": "file_upload",
        "protocol_version": "1",
        "metadata_version": "2.1",
        "name": project,
        "version": version,
        "summary": f"Sample {project}.",
        "requires_python": ">=3.8",
        "filetype": "bdist_wheel" if is_wheel else "sdist",
        "pyversion": "py3" if is_wheel else "source",
        "sha256_digest": sha256,
    }


def form_around(fields: Mapping[str, str], filename: str) -> tuple[bytes, bytes]:
    """What stands before and after a file in the body of its upload."""
    opening = f"--{BOUNDARY}\r\n"
    parts = [
        f'{opening}Content-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    parts.append(f'{opening}Content-Disposition: form-data; name="content"; filename="{filename}"\r\n')
    parts.append("Content-Type: application/octet-stream\r\n\r\n")
    return "".join(parts).encode(), f"\r\n--{BOUNDARY}--\r\n".encode()


def upload_head(path: str, headers: Mapping[str, str], length: int) -> bytes:
    """The head of an upload request."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        f"Content-Length: {length}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def wheel(project: str, version: str, *, requires: bool = False, size: int = 0) -> Distribution:
    """A wheel; of about so many bytes, if it is to be larger than its metadata."""
    module = project.replace("-", "_")
    fields = scale.metadata(project, version, f"About {project} {version}.")
    if not requires:
        fields["requires_dist"] = []
    code = f"__version__ = {version!r}\n".encode()
    if size:
        noise = random.Random(f"{project} {version}").randbytes(size // 2).hex()
        code += f"NOISE = {noise!r}\n".encode()
    return Distribution(project, version, f"{module}-{version}-py3-none-any.whl", scale.wheel(module, fields, code))


def sdist(project: str, version: str) -> Distribution:
    """A source archive."""
    module = project.replace("-", "_")
    fields = scale.metadata(project, version, f"About {project} {version}.")
    content = scale.sdist(module, fields, f"__version__ = {version!r}\n".encode())
    return Distribution(project, version, f"{module}-{version}.tar.gz", content)


@dataclass(frozen=True)
class LargeFile:
    """A wheel on disk that is too large to be held."""

    project: str
    version: str
    path: Path
    sha256: str

    def form_around(self) -> tuple[bytes, bytes]:
        fields = form_fields(self.project, self.version, self.path.name, self.sha256)
        return form_around(fields, self.path.name)


def large_wheel(directory: Path, project: str, version: str, size: int) -> LargeFile:
    """Writes a wheel of about that many bytes, whose payload nobody can compress."""
    module = project.replace("-", "_")
    path = directory / f"{module}-{version}-py3-none-any.whl"
    directory.mkdir(parents=True, exist_ok=True)
    small = wheel(project, version)
    noise = os.urandom(_BLOCK)
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open(f"{module}_data/noise.bin", "w", force_zip64=size >= 2**31) as member:
            for start in range(0, size, _BLOCK):
                # No two blocks are alike.
                block = start.to_bytes(8, "big") + noise[8 : min(_BLOCK, size - start)]
                member.write(block)
        _copy_members(small.content, archive)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return LargeFile(project, version, path, digest)


def _copy_members(content: bytes, target: zipfile.ZipFile) -> None:
    import io

    with zipfile.ZipFile(io.BytesIO(content)) as source:
        for member in source.infolist():
            target.writestr(member, source.read(member))
