"""The minimal loop of delivery: reads a stream, posts with as many threads, acknowledges in batches. It guarantees nothing.

`python -m benchmarks.loop REDIS_URL PORT TOKEN THREADS`, until it is stopped.
"""

from __future__ import annotations

import http.client
import json
import queue
import sys
import threading
from typing import Any

import redis

STREAM = "floor:{queue}"
GROUP = "loop"


def main(url: str, port: int, token: str, threads: int) -> None:
    """Deliver the entries of the floor's stream."""
    store = redis.Redis.from_url(url, decode_responses=True)
    store.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    work: queue.Queue[tuple[str, dict[str, str]]] = queue.Queue(threads * 2)
    done: queue.SimpleQueue[str] = queue.SimpleQueue()
    for _ in range(threads):
        threading.Thread(target=push, args=(port, token, work, done), daemon=True).start()
    threading.Thread(target=acknowledge, args=(url, done), daemon=True).start()
    while True:
        found: Any = store.xreadgroup(GROUP, "consumer", {STREAM: ">"}, count=threads, block=1000)
        for _, entries in found or []:
            for entry in entries:
                work.put(entry)


def push(port: int, token: str, work: queue.Queue[tuple[str, dict[str, str]]], done: queue.SimpleQueue[str]) -> None:
    """Post entries one after the other over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/json", "Cookie": f"access_token={token}"}
    while True:
        entry, fields = work.get()
        body = json.dumps({"state": int(fields["state"]), "sysid": fields["sys_id"]})
        connection.request("POST", "/gbp/push/ACME?integrationid=42", body, headers)
        answer = connection.getresponse()
        if json.loads(answer.read()).get("message") == "Success":
            done.put(entry)


def acknowledge(url: str, done: queue.SimpleQueue[str]) -> None:
    """Acknowledge delivered entries, in batches."""
    store = redis.Redis.from_url(url)
    while True:
        entries = [done.get()]
        while not done.empty():
            entries.append(done.get())
        store.xack(STREAM, GROUP, *entries)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
