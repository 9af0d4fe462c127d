"""gunicorn's settings for `gunicorn wsgi:app` in this folder. They are in the package, for installations without this folder."""

from relay.web.gunicorn_conf import *  # noqa: F403
