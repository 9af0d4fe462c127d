"""The simulated IEM in a separate process, so that it takes no time from the measuring process."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

from harness import iem_of, simulated_iem

from relay.simulators.faults import SimulatedFault


class Upstream:
    """An IEM that answers each push after `delay` seconds."""

    def __init__(self, *, delay: float = 0.0) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, delay), daemon=True)
        self._process.start()
        self.port: int = self._pipe.recv()

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def pushed(self) -> int:
        """Return the number of pushes so far."""
        return int(self._ask("pushed"))

    def times(self) -> dict[str, float]:
        """Return the time of the last push of each ticket (Unix seconds)."""
        found: dict[str, float] = self._ask("times")
        return found

    def token(self) -> str:
        """Return an access token of the mapping's account."""
        return str(self._ask("token"))

    def close(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.join()

    def _ask(self, what: str) -> Any:
        self._pipe.send(what)
        return self._pipe.recv()


def _serve(pipe: Connection, delay: float) -> None:
    with simulated_iem() as server:
        iem = iem_of(server)
        if delay:
            server.faults.add(SimulatedFault(delay=delay, path="/gbp/"))
        pipe.send(server.port)
        while True:
            match pipe.recv():
                case "pushed":
                    pipe.send(len(iem.pushes))
                case "times":
                    pipe.send({push.sysid: push.at for push in iem.pushes})
                case "token":
                    pipe.send(_token(server.url))


def _token(url: str) -> str:
    import requests
    from harness import IEM_PASSWORD, IEM_USER

    answer = requests.post(f"{url}/api/v1/user/token", auth=(IEM_USER, IEM_PASSWORD), timeout=5)
    return str(answer.json()["data"]["access_token"])
