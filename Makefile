# The front door. Every target makes what it needs in .venv and says what it is doing.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: setup demo docs test test-slow soak lint audit clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "==> making the environment in .venv (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
	@echo "==> installed; try: $(BIN)/noisesearch --help"

demo: setup
	@echo "==> searching for better pictures of eight prompts, 32 candidates each"
	@$(BIN)/python -m noisesearch.cli.demo demo

docs: setup
	@echo "==> the documentation as a site"
	@$(BIN)/python docs/generate.py
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/site
	@echo "open build/site/index.html"

lint: setup
	@echo "==> ruff, mypy and the import contracts"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

audit: setup
	@echo "==> known weaknesses of what is installed, or whether all of it was reviewed"
	@$(BIN)/python .ci/audit.py

test: lint
	@echo "==> the tests that take minutes at most"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-slow: setup
	@echo "==> the slow tests: kills, all combinations, benchmarks in small (up to an hour)"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n 2 --dist loadfile

soak: setup
	@echo "==> the long campaigns, some hours: 300 prompts, 200 kills, 100 schedules of faults on Ray; results in benchmarks/results/"
	@$(BIN)/python benchmarks/quality.py --out runs/quality --record benchmarks/results
	@$(BIN)/python benchmarks/kills.py --record benchmarks/results
	@$(BIN)/python benchmarks/ray_faults.py --record benchmarks/results

clean:
	rm -rf .venv build demo runs .pytest_cache .mypy_cache .ruff_cache
