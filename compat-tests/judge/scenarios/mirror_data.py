"""What the upstreams of the mirror scenarios publish, and where mirrors serve it."""

from __future__ import annotations

from typing import Any

from upstream import File, Project

from ..distributions import archive, stored_path, wheel
from ..steps import Act, Step, configure, fault, index, publish, user

UPSTREAM = "http://upstream.example/simple/"
FILES = "+e/http_upstream.example_files"
EVERY_REQUEST, LONG = "0", "1800"
TIMEOUT = ("--request-timeout", "2")
IMPATIENT = ("--upstream-retry-pause", "0", "--upstream-breaker-failures", "0")
"""With these ours asks a failing upstream as often as devpi does."""


def mirror(path: str, *, url: str = UPSTREAM, expiry: str = EVERY_REQUEST, **config: Any) -> Step:
    """Create a mirror beforehand, as its owner; by default it asks its upstream at every request."""
    return index(path, type="mirror", mirror_url=url, mirror_cache_expiry=expiry, **config)


def expiry(path: str, seconds: str) -> Step:
    """Change how long the mirror believes what it has."""
    return configure(path, f"mirror_cache_expiry={seconds}")


def alice() -> Step:
    """The user of all these scenarios."""
    return user("alice", "pw2")


def unhashed(mirror_path: str, filename: str) -> str:
    """Where a mirror serves a file without a hash of `/files/`."""
    return f"{mirror_path}/{FILES}/{filename}"


def release(name: str, version: str, **details: Any) -> File:
    """A small sdist whose content tells its name."""
    filename = f"{name}-{version}.tar.gz"
    return File(filename, filename.encode(), **details)


def hashed(mirror_path: str, file: File) -> str:
    """Where a mirror serves a file by its SHA-256."""
    return stored_path(mirror_path, file.filename, bytes(file.content))


# What was there when the pairs of the protocol reference were captured.

CAPTURED_WHEEL = File(
    "Up_Pkg-1.0-py3-none-any.whl",
    wheel("Up_Pkg", "1.0"),
    requires_python=">=3.6",
    content_type="application/x-up",
    metadata=b"Metadata-Version: 2.1\nName: Up_Pkg\n",
)
CAPTURED_SDIST = release("up-pkg", "1.0", content_type="application/x-up")
CAPTURED_YANKED = File("up-pkg-0.9.tar.gz", b"old", yanked="bad <one>", content_type="application/x-up")
CAPTURED_GONE = release("up-pkg", "0.8")
CAPTURED_UNHASHED = File("up-pkg-0.7.zip", archive(up="0.7"), hashes=())
CAPTURED_PRIV = release("priv", "9.0")
CAPTURED_BAD = (
    File("badf-1.zip", b"right content", hashes={"sha256": "0" * 64}, content_type="application/zip"),
    File("badf-2.zip", b"never seen", hashes={"sha256": "1" * 64}),
    File("badf-3.zip", b"nohash", hashes=(), content_type="application/zip", last_modified=None),
)

CAPTURED: tuple[Act, ...] = (
    publish(
        Project(
            "up-pkg",
            [CAPTURED_WHEEL, CAPTURED_SDIST, CAPTURED_YANKED, CAPTURED_GONE, CAPTURED_UNHASHED],
            links="absolute",
            serial=1234,
        ),
        Project("priv", [CAPTURED_PRIV]),
        Project("down"),
        Project("zzz-empty"),
        Project("badf", list(CAPTURED_BAD)),
        Project("slow", [release("slow", "1.0")]),
        Project("gonep", has_page=False),
    ),
    fault("/simple/down/", status=503),
    fault("/simple/slow/", delay=2.6),
    fault(CAPTURED_GONE.path, status=404),
    fault(CAPTURED_UNHASHED.path, status=404),
    fault("/files/badf-2.zip", status=500),
)

