"""A WSGI application answering on the loopback alone, in threads of this process: what simulators are served by."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class _Quiet(WSGIRequestHandler):
    def log_message(self, *given: object) -> None:
        """Nothing: what passes here is told by the calls counted on the other side."""


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@contextlib.contextmanager
def listening(application: Callable, port: int = 0) -> Iterator[str]:
    """An application on the loopback while the block lasts; its address. Port 0: any."""
    http = make_server("127.0.0.1", port, application, server_class=_Threads, handler_class=_Quiet)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        http.server_close()
