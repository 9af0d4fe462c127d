"""`/api/v1/…`, the operator API: one module per noun with its calls, their schemas and examples. Without a token it is off."""
