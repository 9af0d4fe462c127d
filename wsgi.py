"""The entry point of WSGI servers: `gunicorn wsgi:app`."""

from relay.web.wsgi import make_app

app = make_app()
