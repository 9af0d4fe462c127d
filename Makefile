# `make lint`, `make lint-lua`, `make docs`, `make generated`, `make test`, `make test-slow` and `make lock` in a checkout with a virtual environment at .venv; see CONTRIBUTING.md.
PYTHON_BIN ?= .venv/bin

LUA := relay/store/lua

.PHONY: lint lint-lua docs generated test test-slow lock

# ruff, types, import contracts, security, and the English against the word list in .ci/prose.toml.
lint:
	$(PYTHON_BIN)/ruff check .
	$(PYTHON_BIN)/ruff format --check .
	$(PYTHON_BIN)/mypy
	$(PYTHON_BIN)/lint-imports
	$(PYTHON_BIN)/bandit --quiet --configfile pyproject.toml --recursive relay
	$(PYTHON_BIN)/python .ci/prose.py

# The Lua scripts (Debian's package lua-check): first one by one, then all of them together behind the prelude, as Redis
# runs each. The second run finds what the prelude defines and no script uses, and names of the prelude that a script hides.
lint-lua:
	luacheck --quiet $(LUA)
	@{ cat $(LUA)/prelude.lua; for script in $(filter-out $(LUA)/prelude.lua,$(wildcard $(LUA)/*.lua)); do \
		echo ";(function() -- $$script"; cat $$script; echo "end)()"; done; } \
		| luacheck --quiet --only 2 4 --filename "all scripts" -

# The documentation site, in site/. A dead link, a missing anchor or a page outside the navigation fails. Not with --quiet:
# mkdocs then counts no warnings, and --strict never fails.
docs:
	NO_MKDOCS_2_WARNING=1 $(PYTHON_BIN)/mkdocs build --strict

# The files that are made from the declarations of the mapping keys in relay/core.
generated:
	$(PYTHON_BIN)/relay mappings schema > mappings/schema.json
	$(PYTHON_BIN)/python -m relay.mapping_files.key_reference docs/mapping-files/reference.md

test:
	$(PYTHON_BIN)/pytest

# The tests that measure, kill or simulate for long. Those that measure get the machine to themselves.
test-slow:
	$(PYTHON_BIN)/pytest -m "slow and not alone"
	$(PYTHON_BIN)/pytest -m alone -n 0

# Exact versions with hashes for production installs: `pip install --require-hashes -r requirements.lock`.
lock:
	$(PYTHON_BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --allow-unsafe --extra fast --extra embedded --output-file requirements.lock pyproject.toml
