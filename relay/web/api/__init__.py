"""`/api/v1/…`, the operator API: one module of routes per noun. It is behind a bearer token, and off (404) without one."""
