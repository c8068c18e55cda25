# `make check` is what CI runs.
.PHONY: check fmt lint types layers test docs

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
	pytest

docs:
	python tools/make_docs.py --check
