"""A network that breaks: a proxy before the database that resets every connection after so many bytes."""

import contextlib
import socket
import struct
import threading
from types import TracebackType
from urllib.parse import urlsplit

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset, what is under way is lost


class Proxy:
    """Passes on what both sides send, until `size` bytes have passed in all; then it resets and refuses."""

    def __init__(self, dsn: str, size: int) -> None:
        parts = urlsplit(dsn)
        self._target = (str(parts.hostname), int(parts.port or 5432))
        self._left = size
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))

    def through(self, dsn: str) -> str:
        """Return the DSN by which a client connects through this proxy."""
        parts = urlsplit(dsn)
        login = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{login}@127.0.0.1:{self._listener.getsockname()[1]}").geturl()

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self._cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._left <= 0:
                self._reset(client)
                continue
            server = socket.create_connection(self._target)
            self._open += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                with self._lock:
                    allowed, self._left = data[: max(self._left, 0)], self._left - len(data)
                sink.sendall(allowed)
                if self._left <= 0:
                    self._cut()
                    return
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _cut(self) -> None:
        while self._open:
            self._reset(self._open.pop())

    @staticmethod
    def _reset(each: socket.socket) -> None:
        with contextlib.suppress(OSError):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            each.shutdown(socket.SHUT_RDWR)
        each.close()
