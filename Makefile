# eucan-dask. `make demo` and `make test` set up everything they need in .venv.
PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
RUN := .venv/.run-ready
DEV := .venv/.dev-ready
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 2

.PHONY: demo test test-long test-newest lint bench bench-genomes bench-masks lock docs clean

$(RUN): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

$(DEV): $(RUN) requirements-dev.lock
	$(PIP) install --require-hashes -r requirements-dev.lock
	touch $@

demo: $(RUN)            ## three centres on this machine, main jobs, one report
	rm -rf demo-out
	$(BIN)/eucan-dask demo --out demo-out

test: $(DEV) lint       ## everything but the long runs
	.ci/tools
	$(PYTEST) -n $(WORKERS) --dist loadfile -m "not long"

test-long: $(DEV)       ## kills, fuzzing and mutation runs
	.ci/tools
	$(PYTEST) -n $(WORKERS) -m long
	.ci/mutate

test-newest:            ## the suite on the newest stack, pins overridden; may fail, and says so
	.ci/newest

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/nbstripout --verify notebooks/*.ipynb

bench: $(DEV)           ## bytes, tasks, memory and time; ratios against peers in the same run
	$(BIN)/python benchmarks/spine.py

bench-genomes: $(DEV)   ## the same for genotypes; needs plink2 and bcftools
	$(BIN)/python benchmarks/genomes.py

bench-masks: $(DEV)     ## time and bytes of masked sums against clear ones
	$(BIN)/python benchmarks/masking.py

docs: $(DEV)            ## the generated pages
	$(BIN)/python docs/make.py

lock:                   ## resolve again; hashes, no index addresses
	uv pip compile --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --quiet --extra build pyproject.toml -o requirements.lock
	uv pip compile --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --quiet --constraint requirements.lock --extra build --extra test pyproject.toml -o requirements-dev.lock

clean:
	rm -rf .venv demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis
