# `make check` is what CI runs.
.PHONY: check fmt lint types layers test quick docs

check: lint types layers docs test

fmt:
	ruff format . && ruff check --fix .

lint:
	ruff format --check . && ruff check .

types:
	mypy

layers:
	lint-imports

test:
	pytest -n 2

quick:
	pytest -n 2 -m "not slow" tests/ops tests/recipe/test_load.py tests/recipe/test_schema.py tests/test_docs.py

docs:
	python tools/make_docs.py --check
