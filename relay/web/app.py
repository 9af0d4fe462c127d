"""The Flask application: its endpoints, the headers of every answer, and the log line of every request."""

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
from relay.web.api.operator_api import make_api
from relay.web.arrivals import mark_received
from relay.web.documents import make_documents
from relay.web.health import make_health
from relay.web.metrics_page import make_metrics
from relay.web.refusals import Refusals
from relay.web.responses import ProblemError, problem
from relay.web.webhooks import make_webhooks
from relay.web.wiring import build_web

_LOG = logging.getLogger("relay.web")
_VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
#: How many parameter names of a query string are logged.
_MAX_QUERY_NAMES = 20
#: Requests without valid credentials. Above its limit per address they are no longer logged.
_UNAUTHENTICATED = Refusals()
#: Paths that are requested every few seconds. Only their failures are logged.
_POLLED_PATHS = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})


def create_app(foundation: Foundation) -> Flask:
    """Return the application. Works without Redis and without mapping files: requests report what is missing."""
    settings = foundation.settings
    parts = build_web(foundation)
    app = Flask("relay", static_folder=None)
    # Werkzeug silently cuts a chunked body off at the limit. One byte more shows that the body was longer.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body + 1
    app.url_map.merge_slashes = False
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        proxied = ProxyFix(app.wsgi_app, x_for=0, x_proto=count, x_host=count)
        app.wsgi_app = ForwardedFor(proxied, count)  # type: ignore[method-assign]  # as Flask documents it
    app.register_blueprint(make_webhooks(parts.webhooks))
    count_call = partial(_count_api_call, parts.webhooks.rate_limiter, settings.api_rate)
    app.register_blueprint(make_api(parts.operations, settings.admin_token, count_call))
    app.register_blueprint(make_health(parts.monitor, parts.catalogue, settings))
    app.register_blueprint(make_metrics(parts.monitor))
    app.register_blueprint(make_documents())
    app.before_request(_begin_request)
    app.after_request(_finish_request)
    app.register_error_handler(ProblemError, problem)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _internal_error)
    return app


def _count_api_call(rate_limiter: RateLimiter, limit: int) -> float:
    # An integration cannot have this name.
    return rate_limiter.take("_api", limit, now=now_ms())


def _begin_request() -> None:
    g.began = time.monotonic()
    if not request.content_length and not request.headers.get("Transfer-Encoding"):
        mark_received()
    request_id = request.headers.get("X-Request-ID", "")
    g.request_id = request_id if _VALID_REQUEST_ID.fullmatch(request_id) else secrets.token_hex(8)
    if request.path.startswith("//"):
        raise NotFound  # werkzeug would read one slash, but a proxy that allows only some paths can see two


def _finish_request(response: Response) -> Response:
    # Each use of the proxies `request` and `g` would look the objects up again.
    current: Request = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - documented by werkzeug
    noted = g._get_current_object()  # noqa: SLF001
    status, path, address = response.status_code, current.path, current.remote_addr
    response.headers["X-Request-ID"] = noted.request_id
    seconds = time.monotonic() - noted.began
    if current.method == "POST" and path.startswith("/webhooks/"):
        metrics.WEBHOOK_SECONDS.observe(seconds)
        if status >= 400:
            metrics.REFUSALS.labels(status).inc()
    if path in _POLLED_PATHS and status < 400:
        return response
    if status < 500 and not noted.get("is_authenticated") and _UNAUTHENTICATED.record(address):
        return response  # it is counted, but one sender cannot fill the log
    traceparent = current.headers.get("traceparent", "")
    log(
        _LOG,
        logging.INFO if status < 400 else logging.WARNING,
        "request",
        method=current.method,
        path=path,
        # Values of a query string can be secrets, and a secret that is cut off could no longer be redacted.
        query_names=_query_names(current.query_string) or None,
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


def _query_names(query: bytes) -> list[str]:
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []
    return [name for name, _ in pairs[:_MAX_QUERY_NAMES]]


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    details = {
        404: "There is nothing at this path. Webhooks go to /webhooks/<integration>",
        405: f"Method {request.method} is not allowed on this path",
    }
    headers = {"Allow": ", ".join(sorted(error.valid_methods or ()))} if hasattr(error, "valid_methods") else {}
    return problem(ProblemError(status, details.get(status, error.description or error.name), headers=headers))


def _internal_error(error: Exception) -> Response:
    """Handle a bug, the only broad handler in web: the log gets the traceback, the sender is asked to try again."""
    _LOG.error("internal error while answering a request", exc_info=error)
    detail = f"Send the request again. The relay's log has the traceback under request_id {g.get('request_id')}"
    return problem(ProblemError(500, detail))
