"""The example of docs/iem/python-client.md runs unchanged against a simulated IEM."""

from __future__ import annotations

from docs.markdown import blocks, read_text
from harness import IEM_PASSWORD, IEM_USER, simulated_iem
from iem.samples import SAMPLES

from relay.iem.publish_bodies import Publication


def test_the_example_pushes_and_publishes() -> None:
    [example] = [block.text for block in blocks(read_text("docs/iem/python-client.md")) if block.language == "python"]
    with simulated_iem() as server:
        example = example.replace("https://iem.example.com", server.url).replace("relay-api@example.com", IEM_USER)

        exec(example, {"password": IEM_PASSWORD, "body": SAMPLES[Publication.EVENTS]})

        assert server.request_log.count("/gbp/push/ACME", 200) == 1
        assert server.request_log.count("/publish/allevents/", 200) == 1
