# make run    start headrig on the embedded store with sample traffic
# make test   all tests; those that need the real Loki build it when Go is there
# make check  format, lint, types, layers
# make loki   the real Loki and logcli for tests, into .cache/
# make quality  recall on the corpus of tests/corpus, and harmless lines altered (ARGS=--missed lists them)
# make bench  records per CPU-second, and the floor of the library calls beside it
# make bench-mask  the masker alone, beside a bare scan (ARGS=--anchors: and beside its peers)
# make lock   resolve the dependencies anew

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOKI_VERSION := 3.7.8
LOKI := .cache/loki-$(LOKI_VERSION)
READY := $(VENV)/.ready-$(shell cat requirements.lock pyproject.toml sdk/pyproject.toml examples/headrig-owner/pyproject.toml 2>/dev/null | sha256sum | cut -c1-16)

.PHONY: run test check loki quality bench bench-mask lock clean

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "headrig needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "headrig: setting up $(VENV) (about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e sdk -e . -e examples/headrig-owner
	@rm -f $(VENV)/.ready-*; touch $@

run: $(READY)
	@$(BIN)/headrig demo

test: $(READY)
	@if command -v go >/dev/null; then $(MAKE) --no-print-directory loki; fi
	@$(BIN)/python -m pytest $(ARGS)

check: $(READY)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

loki: $(LOKI)/loki $(LOKI)/logcli

$(LOKI)/%: tests/loki/go.mod tests/loki/go.sum
	@command -v go >/dev/null || { echo "make loki needs Go 1.26.5 or newer"; exit 1; }
	@echo "headrig: building $* $(LOKI_VERSION) (8 minutes when nothing is cached)"
	@mkdir -p $(LOKI)
	@cd tests/loki && CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags "-s -w -X github.com/grafana/loki/v3/pkg/util/build.Version=$(LOKI_VERSION)" -o ../../$@ github.com/grafana/loki/v3/cmd/$*

quality: $(READY)
	@$(BIN)/python -m tests.corpus.report $(ARGS)

bench: $(READY)
	@$(BIN)/python bench/throughput.py $(ARGS)

bench-mask: $(READY)
	@$(BIN)/python bench/mask.py $(ARGS)

lock: $(READY)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-package headrig-sdk --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) headrig-data
