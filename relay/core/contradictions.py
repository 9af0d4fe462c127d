"""Keys of a good mapping file that cancel each other, or that can have no effect: most likely not what was meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from relay.core.document import DocumentPath
from relay.core.integration import HeaderAuth, HmacAuth, Iem, Integration, Plain, Virima

Contradiction = tuple[DocumentPath, str]


def contradictions_of(integration: Integration) -> Iterator[Contradiction]:
    """Yield the path of each such key, and what is the matter with it."""
    yield from _of_senders(integration)
    if integration.tables and not integration.fields.get("table"):
        yield ("tables",), "no effect: no record names its table without a path in `fields.table`"
    retry = integration.retry
    if retry.give_up_after < retry.first:
        yield ("retry", "give_up_after"), "is shorter than `retry.first`: it is given up before the first retry"
    for block, service in (("iem", integration.iem), ("virima", integration.virima)):
        if service and service.ca_file and _is_http(service):
            yield (block, "ca_file"), f"no effect: `{block}.url` is http, and nothing is verified there"
    publish = integration.publish
    if publish and not (publish.heartbeat or publish.metrics or publish.events or publish.topology):
        yield ("publish",), "no effect: nothing in it is switched on"


def _of_senders(integration: Integration) -> Iterator[Contradiction]:
    everybody = [index for index, network in enumerate(integration.allow_from) if network.prefixlen == 0]
    for index in everybody:
        alike = {one.version for one in integration.allow_from} == {integration.allow_from[index].version}
        if alike and len(integration.allow_from) > 1:
            yield ("allow_from", index), "lets any address in: the others have no effect"
    seen: Counter[object] = Counter()
    for index, method in enumerate(integration.authentications):
        seen[method] += 1
        if seen[method] == 2:
            yield ("auth", index), "no effect: the same stands further up"
        for key, header in _headers_of(method):
            if "_" in header:
                yield ("auth", index, key), f"'{header}' never arrives: web servers drop headers with an underscore"
        if isinstance(method, HmacAuth) and (method.timestamp_header or "").lower() == method.header.lower():
            message = "is the header of the signature, too: no webhook can carry both in it"
            yield ("auth", index, "timestamp_header"), message


def _headers_of(method: object) -> Iterator[tuple[str, str]]:
    if isinstance(method, HmacAuth | HeaderAuth):
        yield "header", method.header
    if isinstance(method, HmacAuth) and method.timestamp_header:
        yield "timestamp_header", method.timestamp_header


def _is_http(service: Iem | Virima) -> bool:
    return isinstance(service.url, Plain) and service.url.text.lower().startswith("http:")
