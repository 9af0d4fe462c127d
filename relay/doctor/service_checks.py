"""Checks of the services that workers call: the network to each, its credentials, and its clock.

Integrations that share an account share one check, because repeated attempts with wrong credentials can lock the account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from relay.clock import Clock
from relay.core.integration import Integration
from relay.core.outcomes import Delivered, IemAnswer, classify_healthcheck, classify_token
from relay.core.plural import count_of
from relay.core.reasons import Reason
from relay.doctor.finding import Finding
from relay.errors import SecretMissingError
from relay.foundation import Foundation, virima_lookup
from relay.http.access import ServiceAccess, read_access
from relay.http.caller import Caller
from relay.http.reach import Reached, Step, Unreached, reach
from relay.iem.calls import GrantedToken, IemClient
from relay.virima.lookup import LookupOutcome
from relay.virima.lookup_advice import advise

#: A certificate that expires sooner than this is a warning (seconds).
_EXPIRES_SOON = 14 * 86_400.0
#: A larger difference between the clocks is a warning, or a failure (seconds).
_SKEW_WARNING, _SKEW_FAULT = 10.0, 60.0
_STEP_ADVICE: dict[Step, str] = {
    "name": "check the url, and the DNS of this machine",
    "connection": "check the url, whether the service is running, and the firewalls between this machine and the service",
    "tls": "check the url; set ca_file if the service has a private CA",
}

Check = Callable[[], list[Finding]]


@dataclass(frozen=True, slots=True)
class _Account:
    """One account at one service, and the integrations that use it."""

    integrations: list[Integration]
    access: ServiceAccess

    @property
    def names(self) -> str:
        """The names of the integrations."""
        return ", ".join(integration.name for integration in self.integrations)


def service_checks(integrations: Sequence[Integration], foundation: Foundation) -> list[Check]:
    """Return one check for each account. They are independent, because a service that does not answer takes its timeout."""
    checks: list[Check] = []
    accounts: dict[object, _Account] = {}
    for integration in integrations:
        try:
            access = read_access(integration.iem, foundation.secrets)
        except SecretMissingError as error:
            checks.append(_not_checked(f"iem {integration.name}", error))
            continue
        key = (access.url, access.credentials, integration.iem.ca_file, integration.iem.auth)
        accounts.setdefault(key, _Account([], access)).integrations.append(integration)
    checks += [_iem_check(account, foundation) for account in accounts.values()]
    return checks + _virima_checks(integrations, foundation)


def ping_iem(integration: Integration, foundation: Foundation) -> list[Finding]:
    """Check one integration's IEM: the network, the health check of the publish service, the token, the clock."""
    try:
        access = read_access(integration.iem, foundation.secrets)
    except SecretMissingError as error:
        return _not_checked(f"iem {integration.name}", error)()
    return _check_iem(_Account([integration], access), foundation, publishes=True)


def _not_checked(subject: str, error: SecretMissingError) -> Check:
    advice = "run this command on a machine with the workers' secrets, or use `--for web`"
    return lambda: [Finding.fail(subject, f"not checked: {error}", advice)]


def _iem_check(account: _Account, foundation: Foundation) -> Check:
    publishes = any(integration.publish for integration in account.integrations)
    return lambda: _check_iem(account, foundation, publishes=publishes)


def _check_iem(account: _Account, foundation: Foundation, *, publishes: bool) -> list[Finding]:
    iem, names, clock, url = account.integrations[0].iem, account.names, foundation.clock, account.access.url
    proxy = foundation.proxy_to(url)
    reached = reach(url, ca_file=iem.ca_file, timeout=iem.timeout, proxy=proxy)
    if isinstance(reached, Unreached):
        return [Finding.fail(f"iem {names}", f"{url}: {reached.fault}", _STEP_ADVICE[reached.step])]
    client = IemClient(Caller(url, ca_file=iem.ca_file, connections=1, proxy=proxy), account.access.credentials)
    with closing(client):
        answer = client.generate_token(timeout=iem.timeout)
        health = client.healthcheck(timeout=iem.timeout) if publishes else None
    findings = [_judge_token(f"iem {names}", answer, iem.auth, f"{url} ({_describe(reached, clock)})")]
    findings += [_judge_health(f"publish {names}", health)] if health else []
    findings += _judge_certificate(f"iem {names}", reached, clock)
    if answer.date is not None:
        findings.append(_judge_clock(f"clock {names}", answer.date - clock.now_ms() / 1000))
    return findings


def _judge_health(subject: str, answer: IemAnswer) -> Finding:
    outcome = classify_healthcheck(answer)
    if isinstance(outcome, Delivered):
        return Finding.ok(subject, "the publish service of IEM is running")
    says = f"the health check of the publish service failed: {outcome.reason} ({_seen(answer)})"
    return Finding.fail(subject, says, outcome.reason.row.advice)


def _judge_token(subject: str, answer: GrantedToken | IemAnswer, auth: str, url: str) -> Finding:
    if isinstance(answer, GrantedToken):
        return Finding.ok(subject, f"{url} issued a token to the API user")
    outcome = classify_token(answer)
    assert not isinstance(outcome, Delivered)
    says = f"{url} issued no token: {outcome.reason} ({_seen(answer)})"
    if auth == "basic" and outcome.reason is not Reason.WRONG_CREDENTIALS:
        advice = "`auth: basic` needs no token: the first push shows whether IEM accepts the credentials"
        return Finding.warn(subject, says, advice)
    return Finding.fail(subject, says, outcome.reason.row.advice)


def _seen(answer: IemAnswer) -> str | None:
    return f"HTTP {answer.status}" if answer.status else answer.fault


def _describe(reached: Reached, clock: Clock) -> str:
    if reached.proxy:
        return f"through the proxy {reached.proxy}"
    if reached.tls is None:
        return f"{reached.address}, no TLS"
    remaining = _certificate_lifetime(reached, clock)
    valid = "" if remaining is None else f", certificate valid for {count_of(round(remaining / 86_400), 'day')}"
    return f"{reached.address}, {reached.tls}{valid}"


def _certificate_lifetime(reached: Reached, clock: Clock) -> float | None:
    """Return for how many seconds the service's certificate is still valid, if it has one."""
    return None if reached.certificate_ends is None else reached.certificate_ends - clock.now_ms() / 1000


def _judge_certificate(subject: str, reached: Reached, clock: Clock) -> list[Finding]:
    remaining = _certificate_lifetime(reached, clock)
    if remaining is None or remaining >= _EXPIRES_SOON:
        return []
    return [Finding.warn(subject, f"the certificate expires soon ({_describe(reached, clock)})", "renew it")]


def _judge_clock(subject: str, skew: float) -> Finding:
    """Judge `skew`: how far IEM's clock is ahead of this machine's (seconds). A Date header has whole seconds only."""
    difference = max(0.0, abs(skew) - 1.0)
    direction = "ahead of" if skew > 0 else "behind"
    if difference <= _SKEW_WARNING:
        return Finding.ok(subject, "IEM's clock and this machine's clock agree")
    says = f"IEM's clock is {difference:.0f} s {direction} this machine's clock"
    advice = (
        "synchronise both by NTP: this machine's clock decides how old a signed webhook is and when a token expires"
    )
    return (Finding.fail if difference > _SKEW_FAULT else Finding.warn)(subject, says, advice)


def _virima_checks(integrations: Iterable[Integration], foundation: Foundation) -> list[Check]:
    checks: list[Check] = []
    accounts: dict[str, _Account] = {}
    for integration in integrations:
        if integration.virima is None:
            continue
        try:
            access = read_access(integration.virima, foundation.secrets)
        except SecretMissingError as error:
            checks.append(_not_checked(f"virima {integration.name}", error))
            continue
        accounts.setdefault(access.digest, _Account([], access)).integrations.append(integration)
    return checks + [_virima_check(account, foundation) for account in accounts.values()]


def _virima_check(account: _Account, foundation: Foundation) -> Check:
    return lambda: _check_virima(account, foundation)


def _check_virima(account: _Account, foundation: Foundation) -> list[Finding]:
    integration, url, subject = account.integrations[0], account.access.url, f"virima {account.names}"
    virima = integration.virima
    assert virima is not None
    reached = reach(url, ca_file=virima.ca_file, timeout=virima.timeout, proxy=foundation.proxy_to(url))
    if isinstance(reached, Unreached):
        return [Finding.fail(subject, f"{url}: {reached.fault}", _STEP_ADVICE[reached.step])]
    lookup, _ = virima_lookup(integration, foundation)
    with closing(lookup):
        result = lookup.who_am_i()
    described = f"{url} ({_describe(reached, foundation.clock)})"
    certificate = _judge_certificate(subject, reached, foundation.clock)
    if result.outcome is LookupOutcome.FOUND:
        return [Finding.ok(subject, f"{described} accepts the service account"), *certificate]
    status = f" (HTTP {result.status})" if result.status else ""
    says = f"{described} does not accept the service account: {result.reason or result.outcome}{status}"
    return [Finding.fail(subject, says, advise(result, "the service account")), *certificate]
