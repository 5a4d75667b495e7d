# make demo: set up and run the main job on the embedded default.   make test: set up, RabbitMQ and PostgreSQL included, and pass every test.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
COMPILE := $(VENV)/bin/uv pip compile -q --upgrade --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --python-version 3.11

.PHONY: demo test lint setup services bench lock clean

demo: setup
	$(RUN) -m bridge demo

test: setup services lint
	$(RUN) -m pytest -n 2 --dist loadfile

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/mypy bridge/core bridge/sdk.py bridge/settings.py

setup: $(VENV)/.ready

$(VENV)/.ready: requirements-dev.lock pyproject.toml .ci/setup
	sh .ci/setup $(PYTHON)

services: setup
	sh .ci/services

bench: setup
	$(RUN) -m bridge bench convert
	$(RUN) -m bridge bench pipeline

lock: setup
	$(COMPILE) pyproject.toml -o requirements.lock
	$(COMPILE) pyproject.toml --group dev -o requirements-dev.lock

clean:
	rm -rf $(VENV) .services var
