"""Warnings about keys that have no effect, or that contradict each other: they are probably mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from relay.core.authentication import Authentication, BasicAuth, HeaderAuth, HmacAuth
from relay.core.mapping_blocks import IemBlock, PublishBlock, RetryBlock, VirimaBlock
from relay.core.references import Plain
from relay.mapping_files.document import DocumentPath

KeyWarning = tuple[DocumentPath, str]


def warnings_of(loaded: Mapping[str, Any]) -> Iterator[KeyWarning]:
    """Yield a warning for each such key: its path and a message.

    `loaded` has the parts of a file that have no faults, by their names in `Integration`.
    """
    yield from _of_networks(loaded.get("allow_from", ()))
    yield from _of_senders(loaded.get("authentications", ()))
    fields = loaded.get("fields")
    if loaded.get("tables") and fields is not None and not fields.get("table"):
        yield ("tables",), "has no effect: without a path in `fields.table`, no record names its table"
    retry = loaded.get("retry")
    if isinstance(retry, RetryBlock) and retry.give_up_after < retry.first:
        yield (
            ("retry", "give_up_after"),
            "is shorter than `retry.first`: deliveries are given up before the first retry",
        )
    for block in ("iem", "virima"):
        service = loaded.get(block)
        if isinstance(service, IemBlock | VirimaBlock) and service.ca_file and _is_http(service):
            yield (block, "ca_file"), f"has no effect: `{block}.url` is http, which uses no certificates"
    publish = loaded.get("publish")
    if isinstance(publish, PublishBlock) and not any(
        (publish.heartbeat, publish.metrics, publish.events, publish.topology)
    ):
        yield ("publish",), "has no effect: none of its keys is enabled"


def _of_networks(networks: Sequence[IPv4Network | IPv6Network]) -> Iterator[KeyWarning]:
    if len(networks) < 2 or len({network.version for network in networks}) > 1:
        return
    for index, network in enumerate(networks):
        if network.prefixlen == 0:
            yield ("allow_from", index), "allows any address: the other networks have no effect"


def _of_senders(methods: Sequence[Authentication | None]) -> Iterator[KeyWarning]:
    seen: Counter[object] = Counter()
    for index, method in enumerate(methods):
        if method is None:
            continue
        seen[method] += 1
        if seen[method] == 2:
            yield ("auth", index), "has no effect: the list already contains the same method"
        for key, header in _headers_of(method):
            if "_" in header:
                yield ("auth", index, key), f"'{header}' never arrives: web servers drop headers with an underscore"
        if isinstance(method, HmacAuth) and (method.timestamp_header or "").lower() == method.header.lower():
            message = "is also the header of the signature: a webhook cannot send both in one header"
            yield ("auth", index, "timestamp_header"), message
        if isinstance(method, BasicAuth) and ":" in method.username:
            yield ("auth", index, "username"), "contains a colon, which is not allowed in a user name (RFC 7617)"


def _headers_of(method: object) -> Iterator[tuple[str, str]]:
    if isinstance(method, HmacAuth | HeaderAuth):
        yield "header", method.header
    if isinstance(method, HmacAuth) and method.timestamp_header:
        yield "timestamp_header", method.timestamp_header


def _is_http(service: IemBlock | VirimaBlock) -> bool:
    return isinstance(service.url, Plain) and service.url.text.lower().startswith("http:")
