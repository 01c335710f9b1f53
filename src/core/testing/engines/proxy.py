"""A proxy in front of any HTTP server of this machine that makes trouble on demand, and counts what passes.

    with FaultProxy(aws.endpoint) as proxy:
        proxy.fail(Fault(status=503, times=2))
        ...                                   # talks to proxy.url
        assert proxy.count("PUT") == 3

It changes no byte of what passes: a request that was signed for the proxy's address is right at the server too.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from core.model.value import Value

if TYPE_CHECKING:
    from types import TracebackType

PIECE = 64 * 1024
REASONS = {429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}


class Fault(Value):
    """What goes wrong with requests that match; the first fault that matches is the one."""

    method: str = ""
    """Such as `PUT`; empty: any."""
    path: str = ""
    """Text that the path and query have in them; empty: any."""
    times: int = 1_000_000
    """How many requests it meets."""
    skip: int = 0
    """How many matching requests pass before."""
    status: int = 0
    """Answer with it, without asking the server."""
    retry_after: str = ""
    """Header `Retry-After` of that answer."""
    body: str = ""
    """Body of that answer."""
    challenge: str = ""
    """Header `WWW-Authenticate` of that answer."""
    reset: bool = False
    """Reset the connection when the request's head has come."""
    after: int = -1
    """Reset the connection when so many bytes of the request's body have passed; -1: do not."""
    cut: int = -1
    """Reset the connection when so many bytes of the answer have passed; -1: do not."""
    lose: bool = False
    """Let the server do it, and reset the connection in the place of its answer."""
    bytes_per_second: int = 0
    """Pass the bodies on no faster, both ways; 0: as fast as they come."""
    delay: float = 0.0
    """Seconds to wait before the request is passed on: the way to a far server."""


class FaultProxy:
    """Listens on a free port of the loopback; a thread for each connection, all of them ended by `close`."""

    def __init__(self, target: str) -> None:
        """`target` is `http://HOST:PORT`."""
        host, _, port = target.rpartition("/")[2].partition(":")
        self._target = (host, int(port or 80))
        self._server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        """Where clients go in the place of the server."""
        self._lock = threading.Lock()
        self._faults: list[list[object]] = []
        self._counts: Counter[str] = Counter()
        self._open: set[socket.socket] = set()
        self.requests: list[tuple[str, str]] = []
        """Method, and path with query, of each request that came; also of those that were failed."""
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fail(self, *faults: Fault) -> None:
        """Let these go wrong from now on, in the place of what went wrong before; none: nothing does."""
        with self._lock:
            self._faults = [[fault, fault.skip, fault.times] for fault in faults]

    def count(self, *methods: str) -> int:
        """Requests so far, of these methods or of all."""
        with self._lock:
            return sum(n for method, n in self._counts.items() if not methods or method in methods)

    def reset_counts(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self._counts.clear()
            self.requests.clear()

    def close(self) -> None:
        """Stop listening, and end what is open."""
        self._server.close()
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._open.add(client)
        connection = _Connection(client, self._target)
        try:
            while (head := connection.head(client)) is not None:
                method, path, *_ = head.split(b" ", 2)
                fault = self._matching(method.decode(), path.decode())
                if not connection.pass_on(head, fault):
                    break
        except OSError:
            pass  # somebody went away, or was made to
        finally:
            connection.close()
            with self._lock:
                self._open.discard(client)

    def _matching(self, method: str, path: str) -> Fault:
        with self._lock:
            self._counts[method] += 1
            self.requests.append((method, path))
            for entry in self._faults:
                fault, skip, times = entry
                assert isinstance(fault, Fault)
                if fault.method not in {"", method} or fault.path not in path:
                    continue
                if skip:
                    entry[1] = skip - 1  # type: ignore[operator]
                    continue
                if times:
                    entry[2] = times - 1  # type: ignore[operator]
                    return fault
        return Fault()


class _Connection:
    """One client's connection and the one that it leads to."""

    def __init__(self, client: socket.socket, target: tuple[str, int]) -> None:
        self._client, self._target = client, target
        self._server: socket.socket | None = None
        self._held: dict[socket.socket, bytes] = {}

    def close(self) -> None:
        for one in (self._client, self._server):
            if one is not None:
                one.close()

    def head(self, source: socket.socket) -> bytes | None:
        """The next head with its empty line; None when the connection has ended."""
        data = self._held.pop(source, b"")
        while b"\r\n\r\n" not in data:
            more = source.recv(PIECE)
            if not more:
                return None
            data += more
        head, rest = data.split(b"\r\n\r\n", 1)
        self._held[source] = rest
        return head + b"\r\n\r\n"

    def pass_on(self, head: bytes, fault: Fault) -> bool:
        """One request and its answer; whether the connection goes on."""
        time.sleep(fault.delay)
        if fault.reset:
            return self._reset()
        waits = b"100-continue" in head.lower()
        if fault.status:
            if not waits:
                self._body(self._client, None, head, fault)
            self._answer(fault)
            return not waits
        server = self._connected()
        server.sendall(head)
        if waits:
            self._client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._body(self._client, server, head, fault, fault.after):
            return self._reset()
        answer = self.head(server)
        while answer is not None and answer.split(b" ", 2)[1].startswith(b"1"):
            answer = self.head(server)
        if answer is None or fault.lose:
            return self._reset()
        self._client.sendall(answer)
        bodiless = head.startswith(b"HEAD ") or answer.split(b" ", 2)[1][:3] in {b"204", b"304"}
        if not bodiless and not self._body(server, self._client, answer, fault, fault.cut):
            return self._reset()
        return b"connection: close" not in answer.lower()

    def _connected(self) -> socket.socket:
        if self._server is None:
            self._server = socket.create_connection(self._target)
            self._server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._server

    def _answer(self, fault: Fault) -> None:
        after = f"Retry-After: {fault.retry_after}\r\n" if fault.retry_after else ""
        after += f"WWW-Authenticate: {fault.challenge}\r\n" if fault.challenge else ""
        reason = REASONS.get(fault.status, "Trouble")
        head = f"HTTP/1.1 {fault.status} {reason}\r\n{after}Content-Length: {len(fault.body)}\r\n\r\n{fault.body}"
        self._client.sendall(head.encode())

    def _reset(self) -> bool:
        """End it so that the other side gets ECONNRESET, not an orderly end."""
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def _body(
        self, source: socket.socket, sink: socket.socket | None, head: bytes, fault: Fault, limit: int = -1
    ) -> bool:
        """Pass a body on, up to `limit` bytes; whether all of it passed."""
        lengths = [
            line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        ]
        left = int(lengths[0]) if lengths else 0
        chunked = not lengths and b"transfer-encoding: chunked" in head.lower()
        passed, tail = 0, b""
        while left or chunked:
            piece = self._held.pop(source, b"") or source.recv(PIECE)
            if not piece:
                return False
            if not chunked:
                self._held[source] = piece[left:]
                piece = piece[:left]
                left -= len(piece)
            if 0 <= limit < passed + len(piece):
                if sink is not None:
                    sink.sendall(piece[: limit - passed])
                return False
            passed += len(piece)
            _send(sink, piece, fault.bytes_per_second)
            tail = (tail + piece)[-5:]
            chunked = chunked and tail != b"0\r\n\r\n"
        return True


def _send(sink: socket.socket | None, data: bytes, speed: int) -> None:
    """All of it at once, or in ten pieces a second."""
    if sink is None:
        return
    if not speed:
        sink.sendall(data)
        return
    step = max(1, speed // 10)
    for start in range(0, len(data), step):
        time.sleep(0.1)
        sink.sendall(data[start : start + step])
