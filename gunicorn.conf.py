"""gunicorn's settings for `gunicorn wsgi:app` in this folder; they stand in the package, for installations without it."""

from relay.web.gunicorn_conf import *  # noqa: F403
