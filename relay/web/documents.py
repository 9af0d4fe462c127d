"""`GET /openapi.json` and `GET /docs`: the HTTP interface, for machines and for people."""

from __future__ import annotations

from flask import Blueprint, Response


def make_documents() -> Blueprint:
    """Return both endpoints. The first request builds each document, so that a start does not import apispec."""
    blueprint = Blueprint("documents", __name__)

    @blueprint.get("/openapi.json", strict_slashes=False)
    def document() -> Response:
        from relay.web.openapi.openapi_document import document_text  # noqa: PLC0415 - only when requested

        return Response(document_text(), mimetype="application/json")

    @blueprint.get("/docs", strict_slashes=False)
    def page() -> Response:
        from relay.web.openapi.docs_page import docs_page  # noqa: PLC0415 - only when requested

        rendered = docs_page()
        headers = {
            "Content-Security-Policy": rendered.policy,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(rendered.html, mimetype="text/html", headers=headers)

    return blueprint
