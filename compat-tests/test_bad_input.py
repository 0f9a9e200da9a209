"""Input that cannot be right is refused with a reason, and leaves everything as it was.

Marked ``ours`` is what devpi-server takes, or answers with 500.
"""

import hashlib
import http.client
import os
import shutil
import socket
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import packages
from harness import BIN, DEADLINE, ROOT_PASSWORD, Index, Server, expect_uploaded, server_environment, wait_until

MIB = 1024 * 1024


def state(server: Server, index: Index) -> tuple:
    """What a request could change: the serial, users and their indexes, and what the index holds."""
    return server.serial(), server.get("/"), server.get(f"/{index.name}"), server.simple(index, "hello")


@contextmanager
def unchanged(server: Server, index: Index) -> Iterator[None]:
    before = state(server, index)
    yield
    assert state(server, index) == before


@dataclass
class Form:
    """A multipart body, right unless told otherwise."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str = "hello-1.0.tar.gz"
    content: bytes | None = b"bytes"
    boundary: str = "boundary"

    def body(self) -> bytes:
        fields = {":action": "file_upload", "name": "hello", "version": "1.0"} | self.fields
        parts = [
            f'--{self.boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
            if value is not None
        ]
        if self.content is not None:
            disposition = f'Content-Disposition: form-data; name="content"; filename="{self.filename}"'
            parts.append(f"--{self.boundary}\r\n{disposition}\r\n\r\n".encode() + self.content + b"\r\n")
        return b"".join(parts) + f"--{self.boundary}--\r\n".encode()

    def post(self, server: Server, index: Index, *, content_type: str | None = None, body: bytes | None = None):
        """Sends the form, or other bytes under its headers."""
        return server.request(
            "POST",
            f"/{index.name}/",
            auth=index.auth,
            data=self.body() if body is None else body,
            headers={"Content-Type": content_type or f"multipart/form-data; boundary={self.boundary}"},
        )


def test_the_form_is_right(server: Server, index: Index) -> None:
    """What the other tests break is fine as it stands."""
    answer = Form().post(server, index)
    expect_uploaded(answer)
    assert (answer.reason, answer.content) == ("OK", b"")
    assert server.files(index, "hello") == {"hello-1.0.tar.gz": hashlib.sha256(b"bytes").hexdigest()}


INVALID = "invalid metadata: "


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (Form({":action": "remove"}), "action 'remove' not supported"),
        (Form(content=None), "content file field not found"),
        (Form({"version": "2.0"}), "filename 'hello-1.0.tar.gz' does not contain version '2.0'"),
        (Form({"name": "other"}), "filename 'hello-1.0.tar.gz' does not match project name 'other'"),
        (Form(filename="hello-1.0.txt"), "'hello-1.0.txt' is not a valid archive name"),
        (Form(filename="hello-1.0.tar.xz"), "'hello-1.0.tar.xz' is not a valid archive name"),
        (Form({"name": ""}), INVALID + 'Missing required field "name"'),
        (Form({"version": ""}), INVALID + 'Missing required field "version"'),
        (
            Form({"name": "hel lo"}, filename="hel_lo-1.0.tar.gz"),
            INVALID
            + "Invalid package name. Names must contain only ASCII letters, digits, underscores, hyphens, and periods",
        ),
        (
            Form({"name": "_hello"}, filename="_hello-1.0.tar.gz"),
            INVALID + "Invalid package name. Names must start with an ASCII letter or digit",
        ),
        (
            Form({"name": "hello_"}, filename="hello_-1.0.tar.gz"),
            INVALID + "Invalid package name. Names must end with an ASCII letter or digit",
        ),
        (
            Form({"version": "1.0#1"}, filename="hello-1.0#1.tar.gz"),
            INVALID + "Invalid package name or version (URL safety)",
        ),
    ],
    ids=lambda value: value.split(" '")[0][:40] if isinstance(value, str) else "",
)
def test_refused_with_a_reason(server: Server, index: Index, form: Form, reason: str) -> None:
    """The text travels in the reason phrase, which is what devpi-client, twine and setuptools show."""
    with unchanged(server, index):
        answer = form.post(server, index)
        assert (answer.status_code, answer.reason) == (400, reason)


@pytest.mark.ours
@pytest.mark.parametrize(
    "form",
    [
        pytest.param(Form({"name": None}), id="no name"),
        pytest.param(Form({"version": None}), id="no version"),
        pytest.param(Form({"content": "not a file"}, content=None), id="content without a file name"),
        pytest.param(Form(filename=""), id="empty file name"),
        pytest.param(Form(filename="../../hello-1.0.tar.gz"), id="slashes in the file name"),
        pytest.param(Form(filename="hello-1.0\0.tar.gz"), id="NUL in the file name"),
        pytest.param(Form({"version": "1.0/2"}, filename="hello-1.0/2.tar.gz"), id="slash in the version"),
        pytest.param(Form({"name": "hello" + "o" * 5000}, filename=f"hello{'o' * 5000}-1.0.tar.gz"), id="long name"),
        pytest.param(Form({"version": "1." + "0" * 5000}, filename=f"hello-1.{'0' * 5000}.tar.gz"), id="long version"),
        pytest.param(Form(filename=f"hello-1.0{'x' * 300}.tar.gz"), id="file name too long for a file system"),
        pytest.param(Form({"description": "x" * 64 * MIB}), id="long description"),
        pytest.param(Form({"x" * MIB: "1"}), id="long field name"),
        pytest.param(Form({f"field{number}": "1" for number in range(100_000)}), id="very many fields"),
    ],
)
def test_refused_where_devpi_server_breaks(server: Server, index: Index, form: Form) -> None:
    with unchanged(server, index):
        assert 400 <= form.post(server, index).status_code < 500


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("multipart/form-data", Form().body(), id="no boundary", marks=pytest.mark.ours),
        pytest.param("multipart/form-data; boundary=other", Form().body(), id="another boundary"),
        pytest.param("multipart/form-data; boundary=boundary", b"", id="empty"),
        pytest.param("multipart/form-data; boundary=boundary", b"\x00\xff" * 1000, id="garbage"),
        pytest.param("application/json", b"{", id="broken JSON"),
        pytest.param("application/x-www-form-urlencoded", b":action=file_upload&name=hello&version=1.0", id="no file"),
    ],
)
def test_broken_bodies(server: Server, index: Index, content_type: str, body: bytes) -> None:
    with unchanged(server, index):
        answer = Form().post(server, index, content_type=content_type, body=body)
        assert 400 <= answer.status_code < 500


@pytest.mark.ours
def test_lines_in_the_log_are_those_of_the_server(server: Server, index: Index) -> None:
    """A name with a line end in it is found by its normal form, and stands in one line of the log."""
    form = Form({"name": "hello-forged"}, filename="hello-forged-1.0.tar.gz")
    expect_uploaded(form.post(server, index))
    body = {"name": "hello\nforged", "version": "1.0", "posturl": "http://127.0.0.1:9/"}
    body |= {"username": "user", "password": "password"}
    answer = server.request("PUSH", f"/{index.name}", auth=index.auth, json=body)
    assert answer.status_code == 502

    def lines() -> list[str]:
        return [line for line in server.log.read_text().splitlines() if "cannot publish" in line]

    (line,) = wait_until(lines, "the log says so")
    assert r"cannot publish hello\nforged 1.0 at 127.0.0.1" in line
    assert not any(line.startswith("forged") for line in server.log.read_text().splitlines())


@pytest.mark.ours
@pytest.mark.parametrize("keep", [0.5, 0.9, -4])
def test_truncated_multipart(server: Server, index: Index, keep: float) -> None:
    """A body without its last delimiter may have lost half the file on its way, whatever its headers say."""
    body = Form(content=b"x" * 10_000).body()
    with unchanged(server, index):
        answer = Form().post(server, index, body=body[: int(keep * len(body)) if keep > 0 else int(keep)])
        assert 400 <= answer.status_code < 500


@pytest.mark.ours
@pytest.mark.parametrize("digest", ["md5_digest", "sha256_digest", "blake2_256_digest"])
def test_wrong_digest(server: Server, index: Index, digest: str) -> None:
    """The sender knows what it sent; what arrived is something else. devpi-server does not look."""
    right = {
        "md5_digest": hashlib.md5(b"bytes").hexdigest(),
        "sha256_digest": hashlib.sha256(b"bytes").hexdigest(),
        "blake2_256_digest": hashlib.blake2b(b"bytes", digest_size=32).hexdigest(),
    }
    # Where there is a better one, the others say nothing more.
    wrong = {digest: right[digest][::-1]}
    with unchanged(server, index):
        assert Form(wrong).post(server, index).status_code == 400
    expect_uploaded(Form(right).post(server, index))


@pytest.mark.ours
@pytest.mark.parametrize("damage", ["no zip", "cut"])
def test_broken_wheel(server: Server, index: Index, tmp_path: Path, damage: str) -> None:
    """A wheel that no installer could open does not get in."""
    whole = packages.wheel(tmp_path, "hello", "1.0").read_bytes()
    content = {"no zip": b"this is not a zip file", "cut": whole[:-40]}[damage]
    with unchanged(server, index):
        answer = Form(filename="hello-1.0-py3-none-any.whl", content=content).post(server, index)
        assert answer.status_code == 400
        assert answer.reason != "Bad Request", "the reason says what is wrong"


def test_missing_index(server: Server, index: Index) -> None:
    missing = Index(server.url, index.user, index.password, "nothere")
    with unchanged(server, index):
        answer = Form().post(server, missing)
        assert answer.status_code == 404
        assert f"The stage {missing.name} could not be found." in answer.text


def test_without_permission(server: Server, index: Index) -> None:
    with unchanged(server, index):
        anonymous = server.request("POST", f"/{index.name}/", data={":action": "file_upload"})
        assert anonymous.status_code == 401
        assert anonymous.headers["WWW-Authenticate"] == 'Basic realm="pypi"'
        other = server.request("POST", f"/{index.name}/", data={":action": "submit"}, auth=("root", ROOT_PASSWORD))
        assert (other.status_code, other.reason) == (403, "no permission to submit")


@pytest.mark.ours
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/+login", ["root"]),
        ("POST", "/+login", {"user": 1, "password": "x"}),
        ("POST", "/+login", {"user": "root", "password": ["x"]}),
        ("PUT", "/newcomer", ["password"]),
        ("PUT", "/newcomer", {"password": 5}),
        ("PUT", "/newcomer", {"password": "x", "username": "other"}),
        ("PATCH", "/{user}", "title"),
        ("PUT", "/{user}/new", ["bases"]),
        ("PUT", "/{user}/new", {"type": "mirror", "mirror_url": 5}),
        ("PUT", "/{user}/new", {"acl_upload": [1]}),
        ("PATCH", "/{user}/dev", "title"),
        ("PATCH", "/{user}/dev", [1]),
        ("PATCH", "/{user}/dev", ["title+=x"]),
    ],
)
def test_json_of_the_wrong_shape(server: Server, index: Index, method: str, path: str, body: object) -> None:
    """devpi-server answers 500 to each of these."""
    with unchanged(server, index):
        answer = server.request(method, path.format(user=index.user), json=body, auth=index.auth)
        assert 400 <= answer.status_code < 500


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/+login"), ("PUT", "/newcomer"), ("PUT", "/{user}/new"), ("PATCH", "/{user}/dev")]
)
def test_no_json(server: Server, index: Index, method: str, path: str) -> None:
    with unchanged(server, index):
        answer = server.request(
            method, path.format(user=index.user), data=b"{nope", auth=index.auth, headers={"Accept": "application/json"}
        )
        assert answer.status_code == 400
        assert answer.json() == {"message": "Bad request: could not decode json"}


@pytest.mark.parametrize(
    "path",
    [
        "/{index}/+f/../../../../../etc/passwd",
        "/{index}/+f/%2e%2e/%2e%2e/.serverversion",
        "/{index}/+f/abc/%00",
        pytest.param("/%ff/%fe", marks=pytest.mark.ours),
    ],
)
def test_odd_paths(server: Server, index: Index, path: str) -> None:
    """Sent as they are, which no client library would do."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    connection.putrequest("GET", path.format(index=index.name), skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    assert 400 <= answer.status < 500
    assert b"root:" not in answer.read()
    connection.close()


@pytest.mark.parametrize("request_bytes", [b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost"])
def test_no_http(server: Server, request_bytes: bytes) -> None:
    """Whatever comes over one connection, others are served."""
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as connection:
        connection.sendall(request_bytes)
        assert server.request("GET", "/+api").status_code == 200


# Limits


def bytes_below(directory: Path) -> int:
    """What the files of a directory take."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("sized", [True, False], ids=["with a length", "chunked"])
def test_body_above_the_limit(new_server: Callable[..., Server], sized: bool) -> None:
    """413, however the body comes, and nothing of it stays on the disk."""
    server = new_server("--max-request-body-size", MIB).start()
    index = server.new_index()
    before = state(server, index), bytes_below(server.serverdir)
    body = Form(content=bytes(3 * MIB)).body()
    headers = {
        "Authorization": f"Basic {b64encode(':'.join(index.auth).encode()).decode()}",
        "Content-Type": "multipart/form-data; boundary=boundary",
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)
    try:
        chunks = body if sized else (body[start : start + 65536] for start in range(0, len(body), 65536))
        connection.request("POST", f"/{index.name}/", body=chunks, headers=headers, encode_chunked=not sized)
    except (BrokenPipeError, ConnectionResetError):
        pass  # The server need not read to the end; the answer may be there nevertheless.
    assert connection.getresponse().status == 413
    connection.close()

    assert state(server, index) == before[0]
    assert bytes_below(server.serverdir) - before[1] < MIB
    expect_uploaded(Form(content=bytes(MIB // 2)).post(server, index))


@pytest.fixture
def small_disk(new_server: Callable[..., Server]) -> Server:
    """A server whose serverdir is a file system of 8 MiB, mounted for the eyes of this process alone."""
    server = new_server(init=False)
    server.serverdir.mkdir()
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(server.serverdir)]
    if not shutil.which("unshare") or subprocess.run([*unshare, *mount], capture_output=True).returncode:
        pytest.skip("cannot mount a tmpfs here (needs root or user namespaces)")
    init = [
        str(BIN / "devpi-init"),
        "--serverdir",
        str(server.serverdir),
        "--no-root-pypi",
        "--root-passwd",
        ROOT_PASSWORD,
    ]
    script = 'mount=$1 init=$2; shift 2; $mount && $init && exec "$@"'
    return server.start([*unshare, "sh", "-c", script, "sh", " ".join(mount), " ".join(init), *server.command()])


@pytest.mark.ours
def test_full_disk(small_disk: Server) -> None:
    """507, nothing of the file stays, and smaller ones still go in."""
    server = small_disk
    index = server.new_index()
    with unchanged(server, index):
        for _ in range(3):
            assert Form(content=os.urandom(12 * MIB)).post(server, index).status_code == 507
    for number in range(3):
        content = os.urandom(MIB)
        version = f"2.{number}"
        form = Form({"version": version}, filename=f"hello-{version}.tar.gz", content=content)
        expect_uploaded(form.post(server, index))
    assert len(server.files(index, "hello")) == 3


# Starting


def start_refused(server: Server, command: list[str] | None = None) -> str:
    """Runs a server that must end by itself; gives all that it wrote."""
    done = subprocess.run(
        command or server.command(),
        env=server_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 1, done.stdout
    return done.stdout


@pytest.mark.ours
@pytest.mark.parametrize("program", ["devpi-server", "devpi-passwd"])
def test_serverdir_in_use(server: Server, index: Index, program: str) -> None:
    """Two programs on one directory would tread on each other; devpi-server lets them."""
    command = server.command()
    command[command.index("--port") + 1] = "0"
    if program == "devpi-passwd":
        command = [str(BIN / "devpi-passwd"), "--serverdir", str(server.serverdir), "root"]
    with unchanged(server, index):
        shown = start_refused(server, command)
        assert any(line.startswith("fatal: ") and str(server.serverdir) in line for line in shown.splitlines()), shown


def test_port_taken(new_server: Callable[..., Server]) -> None:
    server = new_server()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server.port = taken.getsockname()[1]
        shown = start_refused(server)
        assert "address already in use" in shown.lower()


@pytest.mark.parametrize(
    ("content", "mode", "error"),
    [
        (None, 0, "The given secret file doesn't exist."),
        (
            "0123456789abcdefghijklmnopqrstuvwxyz",
            0o604,
            "is world accessible, the access mode must be user accessible only (0600).",
        ),
        ("0123456789abcdefghijklmnopqrstuvwxyz", 0o640, "the access mode must be user accessible only (0600)."),
        ("0123456789abcdef", 0o600, "too short, it should be at least 32 characters long."),
        ("ab" * 30, 0o600, "too weak, it should use less repetition."),
    ],
    ids=["missing", "for the world", "for the group", "short", "weak"],
)
def test_bad_secret_file(new_server: Callable[..., Server], content: str | None, mode: int, error: str) -> None:
    server = new_server()
    server.secretfile.unlink()
    if content:
        server.secretfile.write_text(content)
        server.secretfile.chmod(mode)
    shown = start_refused(server)
    assert [line for line in shown.splitlines() if line.startswith("fatal: ") and error in line], shown


@pytest.mark.parametrize(("mode", "word"), [(0o720, "group"), (0o702, "world")])
def test_secret_file_in_a_bad_folder(new_server: Callable[..., Server], mode: int, word: str) -> None:
    """Who may write in the folder may put another file in the place of the secret."""
    server = new_server()
    server.directory.chmod(mode)
    shown = start_refused(server)
    assert [line for line in shown.splitlines() if line.startswith("fatal: ") and f"{word} writable" in line], shown
