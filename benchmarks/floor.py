"""The floor of intake: a bare Flask view that checks a password, parses JSON and runs one script. It guarantees nothing.

It runs with the relay's gunicorn settings: `gunicorn --config python:relay.web.gunicorn_conf benchmarks.floor:app`.
"""

from __future__ import annotations

import hmac
import os
import uuid

import redis
from flask import Flask, Response, request

SCRIPT = """
if not redis.call('SET', KEYS[1] .. ARGV[1], ARGV[2], 'NX', 'EX', 86400) then return 0 end
redis.call('XADD', KEYS[1], '*', 'id', ARGV[2], 'sys_id', ARGV[1], 'state', ARGV[3])
return 1
"""
STREAM = "floor:{queue}"

app = Flask("floor", static_folder=None)
_store = redis.Redis.from_url(os.environ["RELAY_REDIS_URL"], decode_responses=True)
_accept = _store.register_script(SCRIPT)
_password = os.environ["ACME_WEBHOOK_PASSWORD"].encode()


@app.post("/webhooks/<name>")
def receive(name: str) -> Response:  # noqa: ARG001 - the same path as the relay's
    """Accept a resolution."""
    given = request.authorization
    if given is None or not hmac.compare_digest((given.password or "").encode(), _password):
        return Response(status=401)
    record = request.get_json()
    delivery_id = uuid.uuid4().hex
    is_new = _accept(keys=[STREAM], args=[record["sys_id"], delivery_id, record["state"]])
    status = "queued" if is_new else "duplicate"
    return Response(
        f'{{"status":"{status}","delivery_id":"{delivery_id}"}}', 202 if is_new else 200, mimetype="application/json"
    )
