"""The OpenAPI document of all of web's endpoints, and the page to read it. Made at the first request for either."""
