# Two commands on a new machine: `make demo`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

demo: $(READY)
	$(BIN)/gen3d run recipes/zero123_sjc.yaml --profile mini inputs.image=examples/barrel.png

test: $(READY)
	$(BIN)/python -m pytest -n 2 -m "not slow and not gpu"

slow: $(READY)
	$(BIN)/python -m pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(READY)
	$(BIN)/python benchmarks/volume.py
	$(BIN)/python benchmarks/hash_grid.py
	$(BIN)/python benchmarks/raster.py
	$(BIN)/python benchmarks/vsd_step.py --size 256

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

.PHONY: demo test slow lint benchmark
