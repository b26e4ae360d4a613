# Everything a person does with the checkout. `make demo` and `make test` need Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: install demo test faults lint lock bench


$(VENV)/.run: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@

install: $(VENV)/.run

demo: install
	@exec $(BIN)/python manage.py demo $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

# Workers, broker and database killed under 10,000 messages: half an hour. AFTERGLOW_FAULTS=short takes minutes.
faults: $(VENV)/.dev
	AFTERGLOW_FAULTS=$${AFTERGLOW_FAULTS:-full} $(BIN)/python -m pytest -n 0 -s tests/faults \
		tests/patients/messaging/test_races.py $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	env $$(grep -v '^\#' .env.example | xargs) $(BIN)/python -W error manage.py check --deploy --fail-level WARNING

# The lock: versions and hashes, no hosts. Needs uv (`pip install uv`).
lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--quiet --output-file requirements.txt
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --quiet --constraint requirements.txt --output-file requirements-dev.txt

bench: $(VENV)/.dev
	$(BIN)/python manage.py bench $(ARGS)
