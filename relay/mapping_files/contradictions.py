"""Keys of a mapping file that cancel each other, or that can have no effect: most likely not what was meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from relay.core.integration import (
    Authentication,
    BasicAuth,
    HeaderAuth,
    HmacAuth,
    IemBlock,
    Plain,
    PublishBlock,
    RetryBlock,
    VirimaBlock,
)
from relay.mapping_files.document import DocumentPath

Contradiction = tuple[DocumentPath, str]


def contradictions_of(loaded: Mapping[str, Any]) -> Iterator[Contradiction]:
    """Yield the path of each such key, and what is the matter with it.

    `loaded`: the blocks of a file by their names in `Integration`, as many of them as have no fault.
    """
    yield from _of_networks(loaded.get("allow_from", ()))
    yield from _of_senders(loaded.get("authentications", ()))
    fields = loaded.get("fields")
    if loaded.get("tables") and fields is not None and not fields.get("table"):
        yield ("tables",), "no effect: no record names its table without a path in `fields.table`"
    retry = loaded.get("retry")
    if isinstance(retry, RetryBlock) and retry.give_up_after < retry.first:
        yield ("retry", "give_up_after"), "is shorter than `retry.first`: it is given up before the first retry"
    for block in ("iem", "virima"):
        service = loaded.get(block)
        if isinstance(service, IemBlock | VirimaBlock) and service.ca_file and _is_http(service):
            yield (block, "ca_file"), f"no effect: `{block}.url` is http, and nothing is verified there"
    publish = loaded.get("publish")
    if isinstance(publish, PublishBlock) and not any(
        (publish.heartbeat, publish.metrics, publish.events, publish.topology)
    ):
        yield ("publish",), "no effect: nothing in it is switched on"


def _of_networks(networks: Sequence[IPv4Network | IPv6Network]) -> Iterator[Contradiction]:
    everybody = [index for index, network in enumerate(networks) if network.prefixlen == 0]
    for index in everybody:
        alike = {one.version for one in networks} == {networks[index].version}
        if alike and len(networks) > 1:
            yield ("allow_from", index), "lets any address in: the others have no effect"


def _of_senders(methods: Sequence[Authentication | None]) -> Iterator[Contradiction]:
    seen: Counter[object] = Counter()
    for index, method in enumerate(methods):
        if method is None:
            continue
        seen[method] += 1
        if seen[method] == 2:
            yield ("auth", index), "no effect: the same stands further up"
        for key, header in _headers_of(method):
            if "_" in header:
                yield ("auth", index, key), f"'{header}' never arrives: web servers drop headers with an underscore"
        if isinstance(method, HmacAuth) and (method.timestamp_header or "").lower() == method.header.lower():
            message = "is the header of the signature, too: no webhook can carry both in it"
            yield ("auth", index, "timestamp_header"), message
        if isinstance(method, BasicAuth) and ":" in method.username:
            yield ("auth", index, "username"), "nobody can send a user name with a colon (RFC 7617)"


def _headers_of(method: object) -> Iterator[tuple[str, str]]:
    if isinstance(method, HmacAuth | HeaderAuth):
        yield "header", method.header
    if isinstance(method, HmacAuth) and method.timestamp_header:
        yield "timestamp_header", method.timestamp_header


def _is_http(service: IemBlock | VirimaBlock) -> bool:
    return isinstance(service.url, Plain) and service.url.text.lower().startswith("http:")
