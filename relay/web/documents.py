"""`GET /openapi.json` and `GET /docs`: what web answers, for machines and for people."""

from __future__ import annotations

from flask import Blueprint, Response


def make_documents() -> Blueprint:
    """Return the two. Each is made at the first request for it: apispec costs the start nothing."""
    blueprint = Blueprint("documents", __name__)

    @blueprint.get("/openapi.json", strict_slashes=False)
    def document() -> Response:
        from relay.web.openapi.openapi_document import document_text  # noqa: PLC0415 - not before somebody asks

        return Response(document_text(), mimetype="application/json")

    @blueprint.get("/docs", strict_slashes=False)
    def page() -> Response:
        from relay.web.openapi.docs_page import docs_page  # noqa: PLC0415 - not before somebody asks

        found = docs_page()
        headers = {
            "Content-Security-Policy": found.policy,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(found.html, mimetype="text/html", headers=headers)

    return blueprint
