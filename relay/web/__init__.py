"""The HTTP interface. Only this package imports Flask and gunicorn."""
