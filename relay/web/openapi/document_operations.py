"""`GET /openapi.json` and `GET /docs` in the document."""

from __future__ import annotations

from relay.web.openapi.operation_spec import OperationSpec, ResponseSpec

_EXAMPLE = {"openapi": "3.1.0", "info": {"title": "ITSM webhook relay", "version": "0.1.0"}, "paths": {}}

DOCUMENTS = (
    OperationSpec(
        method="get",
        path="/openapi.json",
        id="readOpenapi",
        tag="Documents",
        summary="Get this document",
        description="OpenAPI 3.1. Its schemas are JSON Schema 2020-12.",
        responses=(
            ResponseSpec(
                200,
                "The document",
                {"type": "object", "required": ["openapi", "info", "paths"]},
                {"document": _EXAMPLE},
            ),
        ),
    ),
    OperationSpec(
        method="get",
        path="/docs",
        id="readDocs",
        tag="Documents",
        summary="Get this document as a page",
        description="One HTML page that loads nothing else and needs no JavaScript.",
        responses=(
            ResponseSpec(
                200, "The page", {"type": "string"}, {"page": '<!doctype html><html lang="en">…</html>'}, "text/html"
            ),
        ),
    ),
)
