"""Starts and stops a simulated service on a socket. The protocol is in `http_connection.py`."""

import threading
from types import TracebackType
from typing import Self

from relay.simulators.control import Control
from relay.simulators.exchange import SimulatedService
from relay.simulators.faults import Faults
from relay.simulators.http_connection import Listener
from relay.simulators.request_log import RequestLog

#: How often the accepting thread checks whether to stop (seconds).
POLL_INTERVAL = 0.02


class SimulatorServer:
    """Serves a simulated service with threads of its own; a context manager that starts and stops it."""

    def __init__(
        self, service: SimulatedService, *, host: str = "127.0.0.1", port: int = 0, limit: int = 10_000
    ) -> None:
        """Port 0 is a free port, chosen at the first start. `limit`: the number of exchanges that the request log keeps."""
        self.service = service
        self.faults = Faults()
        self.request_log = RequestLog(limit)
        self.host = host
        self.port = port
        self._control = Control(service, self.faults, self.request_log)
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end. The port is known after the first start."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> Self:
        """Listen and serve, after a stop on the same port.

        Raises:
            OSError: the port is not available.
        """
        if self._listener is not None:
            raise RuntimeError(f"the simulator at {self.url} is already started")
        self._listener = Listener((self.host, self.port), self._control)
        self.port = self._listener.server_port
        self._thread = threading.Thread(
            target=self._listener.serve_forever,
            kwargs={"poll_interval": POLL_INTERVAL},
            name=f"simulator-{self.port}",
            daemon=True,
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening, and close the open connections, including those with delayed answers. The request log remains."""
        if self._listener is None or self._thread is None:
            return
        self._listener.close()
        self._thread.join()
        self._listener = self._thread = None

    def reset(self) -> None:
        """Delete everything: faults and the requests that they delay, the request log, and the state of the service."""
        self._control.reset()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()
