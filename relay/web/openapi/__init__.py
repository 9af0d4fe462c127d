"""The OpenAPI document of the HTTP interface, and its page. Calls of the operator API describe themselves in `relay.web.api`."""
