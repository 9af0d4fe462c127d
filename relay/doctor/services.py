"""Examining the services that workers call: the way to each, whether it lets the relay in, and what time it is there.

Integrations that share an account share one try: wrong credentials that are tried again and again lock accounts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from relay.clock import Clock
from relay.core.integration import Integration
from relay.core.outcomes import Delivered, IemAnswer, classify_healthcheck, classify_token
from relay.core.reasons import Reason
from relay.doctor.finding import Finding
from relay.errors import SecretMissingError
from relay.foundation import Foundation, virima_lookup
from relay.http.access import ServiceAccess, read_access
from relay.http.caller import Caller
from relay.http.reach import Reached, Step, Unreached, reach
from relay.iem.calls import GrantedToken, IemClient
from relay.virima.lookup import Outcome
from relay.virima.lookup_advice import advise

#: A certificate that ends sooner is told (seconds).
_ENDS_SOON = 14 * 86_400.0
#: Clocks that differ by more than this are told, and by more than that are a fault (seconds).
_SKEW_TOLD, _SKEW_FAULT = 10.0, 60.0
_STEP_ADVICE: dict[Step, str] = {
    "name": "check the url, and this machine's DNS",
    "connection": "check the url, whether it runs, and the firewalls between here and there",
    "tls": "check the url; where it has a private CA, name that in ca_file",
}

Examination = Callable[[], list[Finding]]


@dataclass(frozen=True, slots=True)
class _Door:
    """One account of one service, and the integrations that go through it."""

    integrations: list[Integration]
    access: ServiceAccess

    @property
    def names(self) -> str:
        """The integrations' names."""
        return ", ".join(one.name for one in self.integrations)


def examinations(integrations: Sequence[Integration], foundation: Foundation) -> list[Examination]:
    """Return what there is to examine, each apart: a service that does not answer takes its time."""
    found: list[Examination] = []
    doors: dict[object, _Door] = {}
    for one in integrations:
        try:
            access = read_access(one.iem, foundation.secrets)
        except SecretMissingError as error:
            found.append(_not_asked(f"iem {one.name}", error))
            continue
        way = (access.url, access.credentials, one.iem.ca_file, one.iem.auth)
        doors.setdefault(way, _Door([], access)).integrations.append(one)
    found += [_iem_examination(door, foundation) for door in doors.values()]
    return found + _virima_examinations(integrations, foundation)


def ping_iem(integration: Integration, foundation: Foundation) -> list[Finding]:
    """Examine one integration's IEM: the way there, the publish service's health check, the token, the clock."""
    try:
        access = read_access(integration.iem, foundation.secrets)
    except SecretMissingError as error:
        return _not_asked(f"iem {integration.name}", error)()
    return _examine_iem(_Door([integration], access), foundation, publishes=True)


def _not_asked(subject: str, error: SecretMissingError) -> Examination:
    return lambda: [
        Finding.fail(subject, f"not asked: {error}", "run this where the workers' secrets are, or with `--for web`")
    ]


def _iem_examination(door: _Door, foundation: Foundation) -> Examination:
    return lambda: _examine_iem(door, foundation, publishes=any(one.publish for one in door.integrations))


def _examine_iem(door: _Door, foundation: Foundation, *, publishes: bool) -> list[Finding]:
    iem, names, clock = door.integrations[0].iem, door.names, foundation.clock
    proxy = foundation.proxy_to(door.access.url)
    way = reach(door.access.url, ca_file=iem.ca_file, timeout=iem.timeout, proxy=proxy)
    if isinstance(way, Unreached):
        return [Finding.fail(f"iem {names}", f"{door.access.url}: {way.fault}", _STEP_ADVICE[way.step])]
    client = IemClient(
        Caller(door.access.url, ca_file=iem.ca_file, connections=1, proxy=proxy), door.access.credentials
    )
    with closing(client):
        answer = client.generate_token(timeout=iem.timeout)
        health = client.healthcheck(timeout=iem.timeout) if publishes else None
    findings = [_judge_token(f"iem {names}", answer, iem.auth, f"{door.access.url} ({_tell(way, clock)})")]
    findings += [_judge_health(f"publish {names}", health)] if health else []
    findings += [_judge_certificate(f"iem {names}", way, clock)] if _ends_soon(way, clock) else []
    if answer.date is not None:
        findings.append(_judge_clock(f"clock {names}", answer.date - clock.now_ms() / 1000))
    return findings


def _judge_health(subject: str, answer: IemAnswer) -> Finding:
    outcome = classify_healthcheck(answer)
    if isinstance(outcome, Delivered):
        return Finding.ok(subject, "IEM's publish service says that it runs")
    seen = f"HTTP {answer.status}" if answer.status else answer.fault
    return Finding.fail(
        subject, f"the publish service's health check fails: {outcome.reason} ({seen})", outcome.reason.row.advice
    )


def _judge_token(subject: str, answer: GrantedToken | IemAnswer, auth: str, where: str) -> Finding:
    if isinstance(answer, GrantedToken):
        return Finding.ok(subject, f"{where} gives a token to the API user")
    outcome = classify_token(answer)
    assert not isinstance(outcome, Delivered)
    seen = f"HTTP {answer.status}" if answer.status else answer.fault
    says = f"{where} gives no token: {outcome.reason} ({seen})"
    if auth == "basic" and outcome.reason is not Reason.WRONG_CREDENTIALS:
        return Finding.warn(
            subject, says, "under `auth: basic` none is needed: whether the account is good shows at the first push"
        )
    return Finding.fail(subject, says, outcome.reason.row.advice)


def _tell(way: Reached, clock: Clock) -> str:
    if way.proxy:
        return f"through the proxy {way.proxy}"
    if way.tls is None:
        return f"{way.address}, no TLS"
    ends = way.certificate_ends
    days = "" if ends is None else f", certificate good for {(ends - clock.now_ms() / 1000) / 86_400:.0f} days"
    return f"{way.address}, {way.tls}{days}"


def _ends_soon(way: Reached, clock: Clock) -> bool:
    return way.certificate_ends is not None and way.certificate_ends - clock.now_ms() / 1000 < _ENDS_SOON


def _judge_certificate(subject: str, way: Reached, clock: Clock) -> Finding:
    return Finding.warn(subject, f"the certificate ends soon ({_tell(way, clock)})", "have it renewed")


def _judge_clock(subject: str, skew: float) -> Finding:
    """Judge by how much IEM's clock is ahead of ours (seconds); its Date header knows whole seconds only."""
    off = max(0.0, abs(skew) - 1.0)
    direction = "ahead of" if skew > 0 else "behind"
    if off <= _SKEW_TOLD:
        return Finding.ok(subject, "IEM's and this machine's agree")
    says = f"IEM's is {off:.0f} s {direction} this machine's"
    advice = "keep both by NTP: the age of signed webhooks and the end of tokens are judged by this machine's clock"
    return (Finding.fail if off > _SKEW_FAULT else Finding.warn)(subject, says, advice)


def _virima_examinations(integrations: Iterable[Integration], foundation: Foundation) -> list[Examination]:
    found: list[Examination] = []
    doors: dict[str, _Door] = {}
    for one in integrations:
        if one.virima is None:
            continue
        try:
            access = read_access(one.virima, foundation.secrets)
        except SecretMissingError as error:
            found.append(_not_asked(f"virima {one.name}", error))
            continue
        doors.setdefault(access.digest, _Door([], access)).integrations.append(one)
    return found + [_virima_examination(door, foundation) for door in doors.values()]


def _virima_examination(door: _Door, foundation: Foundation) -> Examination:
    def examine() -> list[Finding]:
        integration, url, subject = door.integrations[0], door.access.url, f"virima {door.names}"
        virima = integration.virima
        assert virima is not None
        way = reach(url, ca_file=virima.ca_file, timeout=virima.timeout, proxy=foundation.proxy_to(url))
        if isinstance(way, Unreached):
            return [Finding.fail(subject, f"{url}: {way.fault}", _STEP_ADVICE[way.step])]
        lookup, _ = virima_lookup(integration, foundation)
        with closing(lookup):
            result = lookup.who_am_i()
        where = f"{url} ({_tell(way, foundation.clock)})"
        findings = [_judge_certificate(subject, way, foundation.clock)] if _ends_soon(way, foundation.clock) else []
        if result.outcome is Outcome.FOUND:
            return [Finding.ok(subject, f"{where} lets the service account in"), *findings]
        says = f"{where} does not let the service account in: {result.reason or result.outcome} (HTTP {result.status})"
        return [Finding.fail(subject, says, advise(result, "the service account")), *findings]

    return examine
