"""`relay.web.wsgi:make_app()` for gunicorn: reads the settings from the environment, exits with status 78 if one is wrong."""

from __future__ import annotations

import sys

from flask import Flask

from relay.errors import ConfigurationError
from relay.foundation import lay_foundation
from relay.web.app import create_app

EX_CONFIG = 78


def make_app() -> Flask:
    """Return the application. A wrong setting is printed on stderr and ends the process."""
    try:
        return create_app(lay_foundation())
    except ConfigurationError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        sys.exit(EX_CONFIG)
