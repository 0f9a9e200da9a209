"""The HTTP/1.1 server: an event loop in its own thread, which reads requests, asks what to answer, and sends that."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import itertools
import socket
import threading
from collections.abc import Callable
from dataclasses import replace

from .faults import Fault
from .messages import Response
from .model import read
from .recording import Recorded, Recording

HOST = "127.0.0.1"
THREAD_SECONDS = 30.0
_HEAD_LIMIT = 1 << 17
_BACKLOG = 1024
_VALIDATORS = ("ETag", "Last-Modified")

Answer = Callable[[Recorded], Response]
FindFault = Callable[[Recorded], Fault]


class HttpServer:
    """Listens on a port that it keeps while it is stopped: nobody else can get it, and connections are refused."""

    def __init__(self, port: int, recording: Recording, find_fault: FindFault, answer: Answer) -> None:
        self._recording = recording
        self._find_fault = find_fault
        self._answer = answer
        self._numbers = itertools.count(1)
        self._socket = _bound(port)
        self.port: int = self._socket.getsockname()[1]
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def is_running(self) -> bool:
        """Whether it listens."""
        return self._thread is not None

    def start(self) -> None:
        """Listen, if it does not yet."""
        if self._thread is not None:
            return
        # From here on the system takes connections; they wait for the loop.
        self._socket.listen(_BACKLOG)
        loop = self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(loop, started), name="upstream", daemon=True)
        self._thread.start()
        started.wait(THREAD_SECONDS)

    def stop(self) -> None:
        """Refuse connections, and cut those that there are."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(THREAD_SECONDS)
        self._thread = self._loop = None
        # A process that is just being started by another thread may have a copy, which must not listen on.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._socket = _bound(self.port)

    def close(self) -> None:
        """Stop, and give the port back."""
        self.stop()
        self._socket.close()

    def _run(self, loop: asyncio.AbstractEventLoop, started: threading.Event) -> None:
        asyncio.set_event_loop(loop)
        with contextlib.closing(loop):
            server = loop.run_until_complete(
                asyncio.start_server(self._connected, sock=self._socket.dup(), limit=_HEAD_LIMIT)
            )
            started.set()
            loop.run_forever()
            server.close()
            loop.run_until_complete(self._cut_all())

    async def _cut_all(self) -> None:
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        # Transports close in the turn after they were told to.
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        number = next(self._numbers)
        try:
            while await self._exchange(reader, writer, number):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            # The client is gone, or sends no HTTP, or we are stopped.
            pass
        finally:
            self._connections.discard(task)
            _close(writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        """One request and its answer; whether the connection can be used again."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head[:-4].split("\r\n")
        method, target, version = line.split(" ")
        pairs = (field.partition(":")[::2] for field in fields)
        headers = tuple((name.lower(), value.strip()) for name, value in pairs)
        request = Recorded(method, target, headers, connection=number)
        request.body = await reader.readexactly(int(request.header("content-length") or 0))
        self._recording.begin(request)
        try:
            sender = _Sender(writer, request, self._find_fault(request))
            again = await sender.send(self._answer)
        finally:
            self._recording.end(request)
        return again and version == "HTTP/1.1" and (request.header("connection") or "").lower() != "close"


class _Sender:
    """Sends one answer as the fault of its path has it."""

    def __init__(self, writer: asyncio.StreamWriter, request: Recorded, fault: Fault) -> None:
        self._writer = writer
        self._request = request
        self._fault = fault

    async def send(self, answer: Answer) -> bool:
        """Send it; whether the connection can be used again."""
        fault = self._fault
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.gate and fault.gate_after is None:
            await fault.gate.passage()
        if fault.drop:
            return False
        response = _spoilt(answer(_plain(self._request, fault)), fault)
        self._request.status = response.status
        self._writer.write(_head(response, fault))
        if self._request.method == "HEAD" or not response.has_body:
            await self._writer.drain()
            return True
        return await self._body(response)

    async def _body(self, response: Response) -> bool:
        fault = self._fault
        end = response.end
        if fault.cut_after is not None:
            end = min(end, response.start + fault.cut_after)
        gate_at = None if fault.gate_after is None else response.start + fault.gate_after
        position = response.start
        while position < end:
            if position == gate_at and fault.gate:
                await self._writer.drain()
                await fault.gate.passage()
            stop = min(position + fault.chunk_size, end)
            if gate_at is not None and position < gate_at:
                stop = min(stop, gate_at)
            if fault.chunk_delay:
                await asyncio.sleep(fault.chunk_delay)
            piece = read(response.body, position, stop)
            self._writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if response.chunked else piece)
            await self._writer.drain()
            self._request.sent += len(piece)
            position = stop
        if fault.cut_after is not None:
            return False
        if response.chunked:
            self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
        return fault.content_length in (None, response.length)


def _plain(request: Recorded, fault: Fault) -> Recorded:
    """The request without what the fault makes the upstream pass over."""
    passed_over = set()
    if fault.no_ranges or fault.body is not None or fault.encoding is not None:
        passed_over |= {"range", "if-range"}
    if fault.no_validators or fault.body is not None:
        passed_over |= {"if-none-match", "if-modified-since"}
    return replace(request, headers=tuple(pair for pair in request.headers if pair[0] not in passed_over))


def _spoilt(response: Response, fault: Fault) -> Response:
    """The answer with the fault in it, as far as that is not a matter of time."""
    if fault.status is not None:
        response = Response(fault.status, {"Content-Type": "text/plain"}, f"upstream says {fault.status}\n".encode())
        if fault.status == 401:
            response.headers["WWW-Authenticate"] = 'Basic realm="upstream"'
    if fault.body is not None:
        response.body, response.start, response.stop = fault.body, 0, None
    if fault.encoding is not None:
        body = read(response.body, response.start, response.end)
        response.body, response.start, response.stop = gzip.compress(body, mtime=0), 0, None
        response.headers["Content-Encoding"] = fault.encoding
    hidden = [*(("Accept-Ranges",) if fault.no_ranges else ()), *(_VALIDATORS if fault.no_validators else ())]
    for name in hidden:
        response.headers.pop(name, None)
    if fault.content_type is not None:
        response.headers["Content-Type"] = fault.content_type
    for name, value in fault.headers.items():
        response.headers.pop(name, None)
        if value is not None:
            response.headers[name] = value
    return response


def _head(response: Response, fault: Fault) -> bytes:
    headers = dict(response.headers)
    if response.chunked and response.has_body and fault.content_length is None:
        headers["Transfer-Encoding"] = "chunked"
    elif response.has_body:
        length = response.length if fault.content_length is None else fault.content_length
        headers["Content-Length"] = str(length)
        response.chunked = False
    reason = http.client.responses.get(response.status, "Unknown")
    lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _bound(port: int) -> socket.socket:
    """A socket that has the port and does not listen."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    return bound


def _close(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        writer.close()
