"""Load by wrk on keep-alive connections, with every answer compared to what it must be."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .processes import Failed

HOST = "127.0.0.1"
THREADS = min(2, os.cpu_count() or 1)
SCRIPT = Path(__file__).with_name("check.lua")
IDENTITY = {"Accept-Encoding": "identity"}
TIMEOUT = 60


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def request(
    port: int, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes | str | None = None
) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(HOST, port, timeout=TIMEOUT)
    try:
        connection.request(method, path, body, IDENTITY | dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def get(port: int, path: str, headers: Mapping[str, str] = {}) -> Answer:
    """What lies at a path; it must be there."""
    answer = request(port, "GET", path, headers)
    if answer.status != 200:
        raise Failed(f"GET {path}: {answer.status} {answer.body[:200]!r}")
    return answer


@dataclass(frozen=True)
class Rate:
    """What a run of wrk found: answers per second, and latencies in milliseconds."""

    requests: int
    per_second: float
    p50: float
    p99: float


def run(
    port: int,
    path: str,
    *,
    connections: int,
    seconds: float,
    headers: Mapping[str, str] = {},
    status: int = 200,
    body: bytes | None = None,
) -> Rate:
    """Loads one address; each answer must have this status, and this body if one is given."""
    with tempfile.NamedTemporaryFile(prefix="bench-body-") as expected:
        arguments = [str(status)]
        if body is not None:
            expected.write(body)
            expected.flush()
            arguments.append(expected.name)
        threads = min(THREADS, connections)
        command = [program(), f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        for name, value in (IDENTITY | dict(headers)).items():
            command += ["-H", f"{name}: {value}"]
        command += ["--latency", "-s", str(SCRIPT), f"http://{HOST}:{port}{path}", "--", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
    found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if not found:
        raise Failed(f"wrk ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}")
    result = json.loads(found[1])
    if result["wrong"]:
        raise Failed(f"{path}: {result['wrong']} of {result['checked']} answers were wrong")
    refused = {name: result[name] for name in ("connect", "read", "write", "timeout") if result[name]}
    if refused:
        raise Failed(f"{path}: {connections} connections, errors {refused}")
    if not result["requests"]:
        raise Failed(f"{path}: no answer in {seconds:.0f} s")
    per_second = result["requests"] / (result["microseconds"] / 1e6)
    return Rate(result["requests"], per_second, result["p50"] / 1000, result["p99"] / 1000)


def program() -> str:
    """The path of wrk."""
    found = shutil.which("wrk")
    if not found:
        raise Failed("wrk is missing: run compat-tests/install.sh wrk")
    return found
