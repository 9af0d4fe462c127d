"""The Flask application: its endpoints, what every answer carries, what every request leaves in the log."""

from __future__ import annotations

import logging
import re
import secrets
import time
from functools import partial
from urllib.parse import parse_qsl

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.middleware.proxy_fix import ProxyFix

from relay import metrics
from relay.clock import now_ms
from relay.foundation import Foundation
from relay.logs import log
from relay.store.rate_limiter import RateLimiter
from relay.web.addresses import ForwardedFor
from relay.web.api import make_api
from relay.web.arrivals import has_arrived
from relay.web.documents import make_documents
from relay.web.health import make_health
from relay.web.metrics_page import make_metrics
from relay.web.refusals import Refusals
from relay.web.responses import ProblemError, problem
from relay.web.webhooks import make_webhooks
from relay.web.wiring import build_web

_LOG = logging.getLogger("relay.web")
_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
#: Names of a query that are logged.
_MOST_NAMES = 20
#: Who has shown no credentials: of an address only so many requests a minute are logged.
_STRANGERS = Refusals()
#: Probes come every few seconds: they are logged only where something is wrong.
_QUIET = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})


def create_app(foundation: Foundation) -> Flask:
    """Return the application. Neither Redis nor the mapping files need be there: it says what is missing."""
    settings = foundation.settings
    parts = build_web(foundation)
    app = Flask("relay", static_folder=None)
    # Werkzeug cuts a chunked body off at the limit without a word: one byte more shows that it was longer.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body + 1
    app.url_map.merge_slashes = False
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        proxied = ProxyFix(app.wsgi_app, x_for=0, x_proto=count, x_host=count)
        app.wsgi_app = ForwardedFor(proxied, count)  # type: ignore[method-assign]  # Flask's way
    app.register_blueprint(make_webhooks(parts.webhooks))
    take_call = partial(_take_call, parts.webhooks.rate_limiter, settings.api_rate)
    app.register_blueprint(make_api(parts.operations, settings.admin_token, take_call))
    app.register_blueprint(make_health(parts.watch, parts.catalogue, settings))
    app.register_blueprint(make_metrics(parts.watch))
    app.register_blueprint(make_documents())
    app.before_request(_begin)
    app.after_request(_end)
    app.register_error_handler(ProblemError, problem)
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(Exception, _fault)
    return app


def _take_call(rate_limiter: RateLimiter, per_second: int) -> float:
    # No integration can have this name.
    return rate_limiter.take("_api", per_second, now=now_ms())


def _begin() -> None:
    g.began = time.monotonic()
    if not request.content_length and not request.headers.get("Transfer-Encoding"):
        has_arrived()
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _SANE_ID.fullmatch(given) else secrets.token_hex(8)
    if request.path.startswith("//"):
        raise NotFound  # werkzeug would take it for one slash, which a proxy that lets some paths through may not


def _end(response: Response) -> Response:
    # Each use of `request` and `g` looks for them anew.
    asked: Request = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - as werkzeug's documentation has it
    noted = g._get_current_object()  # noqa: SLF001
    status, path, address = response.status_code, asked.path, asked.remote_addr
    response.headers["X-Request-ID"] = noted.request_id
    seconds = time.monotonic() - noted.began
    if asked.method == "POST" and path.startswith("/webhooks/"):
        metrics.WEBHOOK_SECONDS.observe(seconds)
        if status >= 400:
            metrics.REFUSALS.labels(status).inc()
    if path in _QUIET and status < 400:
        return response
    if status < 500 and not noted.get("is_known") and _STRANGERS.note(address):
        return response  # it is counted; who sends without end does not fill the log
    traceparent = asked.headers.get("traceparent", "")
    log(
        _LOG,
        logging.INFO if status < 400 else logging.WARNING,
        "request",
        method=asked.method,
        path=path,
        # Values of a query may be secrets: its names tell enough. What is cut could not be redacted any more.
        query_names=_names_of(asked.query_string) or None,
        http_status=status,
        duration_ms=round(seconds * 1000, 1),
        remote_address=address,
        request_id=noted.request_id,
        traceparent=traceparent if _TRACEPARENT.fullmatch(traceparent) else None,
        integration=noted.get("integration"),
        delivery_id=noted.get("delivery_id"),
        results=noted.get("results"),
        fault=noted.get("fault"),
    )
    return response


def _names_of(query: bytes) -> list[str]:
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []
    return [name for name, _ in pairs[:_MOST_NAMES]]


def _http_problem(error: HTTPException) -> Response:
    status = error.code or 500
    details = {
        404: "there is nothing at this path: webhooks go to /webhooks/<integration>",
        405: f"{request.method} is not for this path",
    }
    headers = {"Allow": ", ".join(sorted(error.valid_methods or ()))} if hasattr(error, "valid_methods") else {}
    return problem(ProblemError(status, details.get(status, error.description or error.name), headers=headers))


def _fault(error: Exception) -> Response:
    """The one broad handler of web: a bug is told to the log, not to the sender, who can try again."""
    _LOG.error("a bug in the answer to a request", exc_info=error)
    detail = f"the relay failed, and its operators see why under request_id {g.get('request_id')}: send it again"
    return problem(ProblemError(500, detail))
