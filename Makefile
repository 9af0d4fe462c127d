# `make lint` and `make test` in a checkout with a virtual environment at .venv; see CONTRIBUTING.md.
PYTHON_BIN ?= .venv/bin

.PHONY: lint test lock

lint:
	$(PYTHON_BIN)/ruff check .
	$(PYTHON_BIN)/ruff format --check .
	$(PYTHON_BIN)/mypy
	$(PYTHON_BIN)/lint-imports
	$(PYTHON_BIN)/bandit --quiet --configfile pyproject.toml --recursive relay

test:
	$(PYTHON_BIN)/pytest

# Exact versions with hashes for production installs: `pip install --require-hashes -r requirements.lock`.
lock:
	$(PYTHON_BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --allow-unsafe --extra fast --extra embedded --output-file requirements.lock pyproject.toml
