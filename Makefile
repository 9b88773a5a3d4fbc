# run · test · bench · lint: each makes its own environment in .venv first; nothing else is needed but Python ≥ 3.11.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP = .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
BIND ?= 127.0.0.1
PORT ?= 8501
BENCH ?= generate

.PHONY: run test bench lint clean

run: .venv/run.stamp
	.venv/bin/showerscope up --host $(BIND) --port $(PORT)

test: .venv/dev.stamp
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/pyright
	.venv/bin/pytest $(ARGS)

bench: .venv/run.stamp
	.venv/bin/showerscope bench $(BENCH)

lint: .venv/dev.stamp
	.venv/bin/ruff check --fix . && .venv/bin/ruff format . && .venv/bin/pyright

# torch by itself first: its exact pin decides which build every other package meets
.venv/run.stamp: pyproject.toml constraints.txt
	@echo "Setting up .venv (once; about a minute, up to a gigabyte) …"
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	$(PIP) torch==2.13.0
	$(PIP) -e .
	touch $@

.venv/dev.stamp: .venv/run.stamp
	$(PIP) -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build *.egg-info
