# Two commands on a new machine: `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
IMPORTERS := tests/importers/node_modules/.ready
BLENDER := .venv-blender

demo: $(READY)
	$(BIN)/gen3d run recipes/zero123_sjc.yaml --profile mini inputs.image=examples/barrel.png

test: $(READY)
	$(BIN)/python -m pytest -n 2 -m "not slow and not gpu and not importers"

# The programs of others that read what is exported: what of them is missing is skipped, and said.
importers: $(IMPORTERS)

importers-test: $(READY) $(IMPORTERS)
	$(BIN)/python -m pytest -n 2 -m importers

# What the suite does a few hundred times: 20,000 bad recipes and overrides, 2,000 bad files, 200 commands.
fuzz: $(READY)
	GEN3D_FUZZ=1 $(BIN)/python -m pytest -n 2 --timeout 0 tests/fuzz

# Runs that are killed at 50 random moments.
kill: $(READY)
	$(BIN)/python -m pytest -m slow -k killed tests/gen3d/test_resume.py

slow: $(READY)
	$(BIN)/python -m pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Steps and drawing beside the way that published codes do them; on a GPU the tests that need one come first.
DEVICE ?= cuda
gpu: $(READY)
	$(BIN)/python -m benchmarks.gpu --device $(DEVICE)

benchmark: $(READY)
	$(BIN)/python benchmarks/volume.py
	$(BIN)/python benchmarks/hash_grid.py
	$(BIN)/python benchmarks/raster.py
	$(BIN)/python benchmarks/overhead.py

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# Blender's module exists for one version of Python each; it needs an older numpy, hence an environment of its own.
$(IMPORTERS): tests/importers/package-lock.json tests/importers/requirements.txt
	npm ci --prefix tests/importers --no-audit --no-fund
	$(PYTHON) -m venv $(BLENDER)
	$(BLENDER)/bin/pip install --quiet --requirement tests/importers/requirements.txt || rm -r $(BLENDER)
	touch $@

.PHONY: demo test importers importers-test fuzz kill slow lint gpu benchmark
