"""`relay simulate iem|virima`: serve a simulated IEM or Virima until Ctrl-C or SIGTERM."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click

from relay.simulators.exchange import SimulatedService
from relay.simulators.iem_access import ApiUser, Installation
from relay.simulators.server import SimulatorServer
from relay.simulators.simulated_iem import SimulatedIem
from relay.simulators.simulated_virima import SimulatedVirima
from relay.simulators.virima_people import Person

Command = Callable[..., None]
HOST = click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")


def _email_and_password(text: str) -> tuple[str, str]:
    return _split(text, ":", "EMAIL:PASSWORD")


def _email_and_name(text: str) -> tuple[str, str]:
    return _split(text, "=", "EMAIL=DISPLAY NAME")


def _split(text: str, separator: str, form: str) -> tuple[str, str]:
    left, _, right = text.partition(separator)
    if not left or not right:
        raise click.BadParameter(f"expected {form}")
    return left, right


def _user_option(help_text: str) -> Callable[[Command], Command]:
    return click.option(
        "--user",
        default="relay@example.com:relay",
        show_default=True,
        type=_email_and_password,
        metavar="EMAIL:PASSWORD",
        help=help_text,
    )


def _port_option(default: int) -> Callable[[Command], Command]:
    return click.option(
        "--port",
        default=default,
        show_default=True,
        type=click.IntRange(0, 65535),
        help="Port to listen on; 0 selects a free port.",
    )


@click.group()
def simulate() -> None:
    """Run a simulated IEM or Virima."""


@simulate.command()
@HOST
@_port_option(8801)
@_user_option("The API user.")
@click.option("--customer", multiple=True, default=["ACME"], show_default=True, help="Active customer id; repeatable.")
@click.option("--integration", multiple=True, default=["42"], show_default=True, help="Integration id; repeatable.")
@click.option(
    "--token-lifetime",
    default=1800.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Seconds for which an access token is valid.",
)
@click.option("--jwt/--opaque", default=False, help="Kind of access token.  [default: opaque]")
def iem(
    *,
    host: str,
    port: int,
    user: tuple[str, str],
    customer: tuple[str, ...],
    integration: tuple[str, ...],
    token_lifetime: float,
    jwt: bool,
) -> None:
    """Run a simulated HCL IEM.

    It provides the token call, the push and the publish service.

    \b
    Example:
      relay simulate iem --port 8801 --user relay@example.com:secret --customer ACME --integration 42
    """
    api_user = ApiUser(*user, customers=frozenset(customer))
    installation = Installation(
        users=(api_user,),
        customers=dict.fromkeys(customer, True),
        integrations=frozenset(integration),
        token_lifetime=token_lifetime,
        jwt=jwt,
    )
    _serve("IEM", SimulatedIem(installation), host, port, "")


@simulate.command()
@HOST
@_port_option(8802)
@_user_option("The service account.")
@click.option(
    "--person",
    multiple=True,
    type=_email_and_name,
    metavar="EMAIL=DISPLAY NAME",
    help="User to look up; repeatable.",
)
def virima(host: str, port: int, user: tuple[str, str], person: tuple[tuple[str, str], ...]) -> None:
    """Run a simulated Virima.

    It provides all seven operations of the LoginService.

    \b
    Example:
      relay simulate virima --port 8802 --person "beth.anglin@example.com=Beth Anglin"
    """
    account = Person(user[0], "Relay Service Account", user[1], service=True)
    service = SimulatedVirima([account, *(Person(email, name) for email, name in person)])
    _serve("Virima", service, host, port, service.base_path)


def _serve(name: str, service: SimulatedService, host: str, port: int, path: str) -> None:
    """Serve until Ctrl-C or SIGTERM. Exit status 1 if the port is not available."""
    server = SimulatorServer(service, host=host, port=port)
    with _stop_signals() as stopped:
        try:
            server.start()
        except OSError as error:
            raise click.ClickException(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
        click.echo(
            f"{name} simulator listens on {server.url}{path}; to make it fail three times: "
            f"""curl {server.url}/_simulator/faults -d '{{"status": 503, "count": 3}}'"""
        )
        stopped.wait()
        server.stop()


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C or SIGTERM sets, and restore the previous handlers afterwards."""
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
