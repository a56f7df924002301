# make run    sets up and runs the main job on the embedded simulator
# make compare  sets up and compares two optimizers on three tasks: a page in results/bench
# make test   sets up and runs the tests, but for those that take minutes: about eight minutes on two cores
# make test-all  those too; make test-slow runs them alone
# make check  everything CI checks: format, lint, types, docs, all tests
#             for another Python: make test PYTHON=python3.12 VENV=.venv312
# make bench  speed and memory, by hand: ten minutes on two cores; benchmarks/speed_page.py puts them into docs/speed.md
# make bench-trainings  what optimizers come to in training, by hand: a quarter of an hour
# make gpu    the contract, graphs and speed on a GPU, if there is one; compile="auto" goes by the record that it writes
# make dist   the source distribution and the wheel; REPOSITORY=https://... is the address that their pages then name
# make conformance  every optimizer of five libraries against the contract; writes docs/conformance.md
# make pictures     the pictures of docs/optimizers
# make claims       measures what the papers claim, as far as minutes go; goes on from the records that come with the code
PYTHON ?= python3
VENV ?= .venv
OUT ?= results
JOBS ?= 2
PIP_INSTALL = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt $(PIP_FLAGS)
# One thread a process, and none that spins while it waits: on a shared machine that costs more than the work.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive
# What is compiled is kept: tests start a hundred processes, and each would compile the package anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: run compare claims test test-slow test-all check format format-check lint types docs dist bench bench-trainings gpu conformance pictures clean

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "waddington needs Python 3.11 or newer; found %d.%d. Try: make PYTHON=python3.11" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"

# PyTorch comes first and alone: asked for by another package, pip could take a build with gigabytes of CUDA.
$(VENV)/.torch: constraints.txt | $(VENV)/bin/python
	$(PIP_INSTALL) $(TORCH_INDEX) torch
	@touch $@

$(VENV)/.run: pyproject.toml $(VENV)/.torch
	$(PIP_INSTALL) --editable '.[twin,cli]'
	@touch $@

$(VENV)/.bench: pyproject.toml $(VENV)/.torch
	$(PIP_INSTALL) --editable '.[bench,cli]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.torch
	$(PIP_INSTALL) --editable '.[all]' --group dev
	@touch $@

run: $(VENV)/.run
	$(VENV)/bin/waddington run --out $(OUT) $(ARGS)

compare: $(VENV)/.bench
	$(VENV)/bin/waddington bench run digits quadratic rosenbrock --optimizer AdamW --optimizer AMVT --seeds 5 --trials 6 --out $(OUT)/bench $(ARGS)

PYTEST = $(VENV)/bin/python -m pytest --numprocesses $(JOBS) --dist loadfile

test: $(VENV)/.dev
	$(PYTEST)

test-slow: $(VENV)/.dev
	$(PYTEST) --no-loadscope-reorder -m slow

# One after the other, the fast ones first, also under `make --jobs`.
test-all:
	$(MAKE) --no-print-directory test
	$(MAKE) --no-print-directory test-slow

check: format-check lint types docs test-all

format: $(VENV)/.dev
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/python docs/lines.py

format-check: $(VENV)/.dev
	$(VENV)/bin/ruff format --check .

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .

types: $(VENV)/.dev
	$(VENV)/bin/mypy

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

dist: $(VENV)/.dev
	WADDINGTON_REPOSITORY=$(REPOSITORY) $(VENV)/bin/python -m hatchling build

bench: SCRIPTS = env_throughput step_time memory compile_cost scaling
bench-trainings: SCRIPTS = switch_direction tuned_rates
bench bench-trainings: $(VENV)/.dev
	@for script in $(SCRIPTS); do \
	  echo "== benchmarks/$$script.py"; $(VENV)/bin/python benchmarks/$$script.py || exit 1; done

gpu: $(VENV)/.dev
	$(VENV)/bin/python benchmarks/gpu.py $(ARGS)

conformance: $(VENV)/.dev
	$(VENV)/bin/python benchmarks/conformance.py

pictures: $(VENV)/.dev
	$(VENV)/bin/python benchmarks/diagnostics.py

CLAIMS = src/waddington/claims/records/claims.jsonl.xz
STUDIES = benchmarks/records/studies.jsonl.xz
TIER ?= minutes
claims: $(VENV)/.dev
	$(VENV)/bin/waddington claims run --tier $(TIER) --out $(OUT)/claims --records $(STUDIES) $(ARGS)
	$(VENV)/bin/waddington claims pack --out $(OUT)/claims --file $(CLAIMS)
	$(VENV)/bin/waddington claims report --out docs/claims
	$(VENV)/bin/python docs/lines.py

clean:
	rm -rf site build dist .mypy_cache .pytest_cache .ruff_cache
