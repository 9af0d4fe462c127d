"""A simulated service on a socket: start, stop, start again. The protocol is in `connection`."""

import threading
from types import TracebackType
from typing import Self

from relay.simulators.control import Control
from relay.simulators.exchange import SimulatedService
from relay.simulators.faults import Faults
from relay.simulators.http_connection import Listener
from relay.simulators.request_log import RequestLog

#: How often the accepting thread looks whether it is to stop, in seconds.
POLL_INTERVAL = 0.02


class SimulatorServer:
    """A simulated service on HTTP, in threads of its own; a context manager that starts and stops it."""

    def __init__(
        self, service: SimulatedService, *, host: str = "127.0.0.1", port: int = 0, limit: int = 10_000
    ) -> None:
        """Serve that service; port 0 takes a free port at the first start. `limit` bounds the record."""
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
        """Return scheme, host and port, without a slash at the end; the port is known once it was started."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> Self:
        """Listen and serve, after a stop on the same port; raises OSError where the port cannot be had."""
        if self._listener is not None:
            raise RuntimeError(f"the simulator at {self.url} is started already")
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
        """Stop listening and cut the open connections, delayed answers too; what was recorded stays."""
        if self._listener is None or self._thread is None:
            return
        self._listener.close()
        self._thread.join()
        self._listener = self._thread = None

    def reset(self) -> None:
        """Forget everything: faults and the requests they delay, the record, what the service applied."""
        self._control.reset()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()
