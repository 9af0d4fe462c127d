"""The control path `/_simulator/`, with which other processes read and change the state of a simulator."""

from dataclasses import asdict

from relay.simulators.exchange import (
    Operation,
    SimulatedService,
    SimulatorRequest,
    SimulatorResponse,
    message,
    parse_json,
    reply,
    wrong_method,
)
from relay.simulators.faults import Faults, parse_fault
from relay.simulators.request_log import RequestLog

PREFIX = "/_simulator/"


class Control:
    """Answers the control path of one simulator. Its requests are not logged, and faults do not apply to them."""

    def __init__(self, service: SimulatedService, faults: Faults, request_log: RequestLog) -> None:
        self.service = service
        self.faults = faults
        self.request_log = request_log
        self._routes: dict[str, dict[str, Operation]] = {
            "requests": {"GET": self._requests},
            "state": {"GET": self._state},
            "faults": {"GET": self._list_faults, "POST": self._add_fault, "DELETE": self._clear_faults},
            "revoke": {"POST": self._revoke},
            "reset": {"POST": self._reset},
        }

    def answer(self, request: SimulatorRequest) -> SimulatorResponse:
        """Answer one request of the control path."""
        route = self._routes.get(request.path.removeprefix(PREFIX))
        if route is None:
            return message(404, f"Expected one of {', '.join(PREFIX + name for name in self._routes)}")
        operation = route.get(request.method)
        return operation(request) if operation else wrong_method(route)

    def reset(self) -> None:
        """Delete everything: faults and the requests that they delay, the request log, and the state of the service."""
        self.faults.reset()
        self.service.reset()
        self.request_log.reset()

    def _requests(self, _: SimulatorRequest) -> SimulatorResponse:
        return reply(200, {"requests": [asdict(exchange) for exchange in self.request_log.exchanges]})

    def _state(self, _: SimulatorRequest) -> SimulatorResponse:
        return reply(
            200,
            {
                "arrived": self.request_log.arrived,
                "in_flight": self.request_log.in_flight,
                "counters": self.request_log.counters(),
                "faults": self.faults.listed(),
                "service": self.service.state(),
            },
        )

    def _list_faults(self, _: SimulatorRequest) -> SimulatorResponse:
        return reply(200, {"faults": self.faults.listed()})

    def _add_fault(self, request: SimulatorRequest) -> SimulatorResponse:
        try:
            fault = parse_fault(parse_json(request.body))
        except ValueError as error:
            return message(400, str(error))
        self.faults.add(fault)
        return reply(201, {"faults": self.faults.listed()})

    def _clear_faults(self, _: SimulatorRequest) -> SimulatorResponse:
        self.faults.clear()
        return reply(200, {"faults": []})

    def _revoke(self, _: SimulatorRequest) -> SimulatorResponse:
        return reply(200, {"revoked": self.service.revoke()})

    def _reset(self, _: SimulatorRequest) -> SimulatorResponse:
        self.reset()
        return reply(200, {"reset": True})
