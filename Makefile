# `make` lists the targets. ARGS goes to the command that a target runs: make demo ARGS="--seconds 20 --rate 300"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-test demo test test-unit lint faults simulate bench-pipeline bench-growth bench-engine bench-blocks train train-shipped labelled-data clean

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
ARGS :=
THREADS := 2
ISA := native
FUZZ_S := 3600
# Tests that need no server run on two cores, file by file, because the tests of a file share what is slow to make.
# The others follow one by one: they wait for the sessions and timeouts of real servers.
# Where a process of theirs dies, the run ends with the name of its test: xdist 3.8.0 may wait for its successor for ever.
PARALLEL := --numprocesses 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0
WITH_SERVERS := faults integration page simulation system
# Pytest's exit code is 5 where ARGS chooses none of its tests.
NONE_CHOSEN := test $$? -eq 5
# Without torch its classes and decorators have no types: mypy is strict about them where it is installed.
WITHOUT_TORCH := --allow-subclassing-any --allow-untyped-decorators --no-warn-return-any --no-warn-unused-ignores

COLLECTOR_BUILDER := go.opentelemetry.io/collector/cmd/builder@v0.161.0
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url

HELM := helm.sh/helm/v3/cmd/helm@v3.19.0
DEPLOY_TESTS := tests/unit/monitoring/test_alert_rules.py tests/system/deployment/test_dashboard.py \
	tests/system/deployment/test_helm_chart.py tests/system/deployment/test_helm_pods.py \
	tests/system/deployment/test_compose.py tests/system/deployment/test_rolling_restart.py

.PHONY: setup-dev coverage format lock frontier gpu-check dist-test deploy-test compose-test fuzz sbom audit soak

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'
	@echo 'PYTHON=... chooses the interpreter (3.11 to 3.13); ARGS="..." is handed on'

setup: .venv/.local ## create .venv with the worker and what the local servers need
setup-dev: .venv/.dev ## the worker and what lint and the unit tests need, without torch
setup-test: .venv/.test ## all of this, and what the other tests, training and benchmarks need

.PHONY: demo-traces
demo-traces: setup-test ## a short demo with traces on, whose slowest micro-batch is shown as a tree of spans
	$(BIN)/python -m tests.trace_demo $(ARGS)

demo: .venv/.page ## real Kafka and Redis, a simulated feed, the worker on it, shown in the terminal and on the live page
	$(BIN)/sentiment demo $(ARGS)

test: setup-test ## every test; make test ARGS="-m 'not slow'" leaves out those of 20 s and more
ifneq ($(filter tests%,$(ARGS)),)
	$(BIN)/python -m pytest --require-training $(ARGS)
else
	$(BIN)/python -m pytest --require-training $(PARALLEL) $(WITH_SERVERS:%=--ignore=tests/%) $(ARGS) || $(NONE_CHOSEN)
	$(BIN)/python -m pytest --require-training --ignore=tests/unit $(ARGS) || $(NONE_CHOSEN)
endif

test-unit: setup-dev ## the tests that need no server; without torch those of training skip
	$(BIN)/python -m pytest tests/unit $(ARGS)

coverage: setup-test ## line coverage of each module over all tests and the workers that they start
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --require-training $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/python -m tests.module_coverage

lint: setup-dev ## style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $$(test -e .venv/.test || echo "$(WITHOUT_TORCH)")
	$(BIN)/lint-imports

format: setup-dev ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/bin/uv ## pin what pyproject.toml asks for, for the images by hash; ARGS="--upgrade" takes newer versions
	$(COMPILE) --all-extras --output-file constraints.txt $(ARGS) pyproject.toml
	$(COMPILE) --generate-hashes --constraint constraints.txt --output-file deploy/requirements/cpu.txt pyproject.toml
	for extra in gpu otel page; do $(COMPILE) --generate-hashes --constraint constraints.txt \
		--output-file deploy/requirements/$$extra.txt --extra $$extra pyproject.toml; done
	echo 'setuptools>=77' | $(COMPILE) --generate-hashes --output-file deploy/requirements/build.txt $(ARGS) -

faults: setup-test ## each of many faults on real servers, 20 seeds, judged by an oracle (hours; goes on when cut off)
	$(BIN)/python -m tests.faults $(ARGS)

soak: setup-test ## an hour at half load with a fault a minute: does anything grow, is anything lost; ARGS="--minutes 3" for a try
	$(BIN)/python -m tests.soak $(ARGS)

fuzz: setup-test .venv/.fuzz ## arbitrary bytes for everything that reads what others write, FUZZ_S seconds each of 12 targets; goes on with its corpus
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_S) $(ARGS)

simulate: setup-test ## the worker on a model of Kafka and Redis in virtual time, judged by an oracle; a seed repeats to the same bytes
	$(BIN)/python -m tests.simulation $(ARGS)

bench-pipeline: setup-test ## our worker: rate beside its peers, latency, costs, take-over, memory (half an hour); ARGS="--only paced" for one
	$(BIN)/python -m benchmarks.pipeline $(ARGS)

bench-growth: setup-test ## what more streams and workers cost, up to 2,000,000 and 8 (half an hour); ARGS="--quick" for a try
	$(BIN)/python -m benchmarks.growth $(ARGS)

bench-engine: setup-test ## our engine beside torch, ONNX Runtime and VADER, on one core (some minutes); ISA=avx2, avx512 or amx holds all to a set
	$(BIN)/python -m benchmarks.engine --isa $(ISA) $(ARGS)

bench-blocks: setup-test ## rates of the products for each block of sums that the kernels could use (a minute)
	$(BIN)/python -m benchmarks.engine.blocks

gpu-check: setup-test ## on a machine with an NVIDIA GPU: laws, errors, rates beside cuDNN, a worker; JSON on standard output (six minutes)
	@$(BIN)/python -m benchmarks.gpu $(ARGS)

frontier: labelled-data setup-test ## accuracy, speed and price beside other classifiers: make frontier DATA=folder (half an hour)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[frontier]'
	$(BIN)/python -m benchmarks.frontier --data "$(DATA)" $(ARGS)

train: setup-test ## train a checkpoint: make train ARGS="--help"
	$(BIN)/sentiment train $(ARGS)

train-shipped: labelled-data setup-test ## repeat the training of the shipped checkpoints (hours; goes on when cut off): make train-shipped DATA=folder [THREADS=2]
	$(BIN)/sentiment train --data "$(DATA)" --run runs/rehearsal --set threads=$(THREADS)
	$(BIN)/sentiment train --data "$(DATA)" --run runs/shipped --all-films runs/rehearsal
	$(BIN)/sentiment train --data "$(DATA)" --run runs/languages --languages runs/shipped --rounds 25 --set threads=$(THREADS)

labelled-data: # asked for before anything is downloaded
	@if [ ! -d "$(DATA)" ]; then echo "Say where the labelled corpora are: make $(firstword $(MAKECMDGOALS)) DATA=folder" >&2; exit 2; fi

dist-test: setup-test ## the wheel and the sdist, each installed in a clean environment, run, and checked for types (two minutes)
	$(BIN)/python -m tests.distribution

deploy-test: setup-test .venv/bin/helm ## alerts by promtool, dashboards on a live Prometheus, the Helm chart, a rolling restart (three minutes)
	@for program in promtool prometheus docker-compose go; do command -v $$program >/dev/null || { echo "$$program is not on the PATH" >&2; exit 1; }; done
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest $(DEPLOY_TESTS) $(ARGS)

sbom: .venv/.sbom ## what the CPU image holds, as CycloneDX: installs it by hash in a fresh environment, writes dist/sbom.json
	rm -rf dist/sbom-env && "$(BIN)/python" -m venv --without-pip dist/sbom-env
	$(BIN)/pip --python dist/sbom-env/bin/python install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r deploy/requirements/cpu.txt
	$(BIN)/pip --python dist/sbom-env/bin/python install --quiet --disable-pip-version-check --no-deps .
	$(BIN)/cyclonedx-py environment --validate --output-reproducible --pyproject pyproject.toml --output-file dist/sbom.json dist/sbom-env/bin/python
	rm -rf dist/sbom-env

audit: .venv/.audit ## known vulnerabilities of every package that an image installs, by pip-audit; fails where PyPI does not know a package
	for set in cpu gpu otel page build; do $(BIN)/pip-audit --strict --disable-pip --require-hashes -r deploy/requirements/$$set.txt || exit 1; done

compose-test: setup-test ## docker-compose.yml on the Docker engine that runs here, and the upgrade from 0.1; ARGS="--make-images" makes images of Debian packages
	$(BIN)/python -m tests.compose $(ARGS)

.PHONY: docs
docs: .venv/.docs ## the documentation as a site in build/site; a dead link or anchor fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet -f deploy/site/mkdocs.yml
	@echo "build/site: $(BIN)/python -m http.server -d build/site"

.PHONY: page-load
page-load: setup-test ## 1,000,000 streams and 5,000 records a second, while a browser goes through the live page
	$(BIN)/python -m tests.page.load $(ARGS)

.PHONY: page-screenshots
page-screenshots: setup-test ## take the README's pictures of the live page, in Chromium
	$(BIN)/python -m tests.page.screenshots docs

clean: ## remove .venv and everything else that was built; training runs stay
	rm -f .coverage .coverage.*
	rm -rf .venv build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find model worker benchmarks tests -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c '$(SUPPORTED)' 2>/dev/null; then \
		echo "This needs Python 3.11, 3.12 or 3.13, and $(or $(PYTHON),python3) is none of them." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; fi
	"$(PYTHON)" -m venv .venv

.venv/.local: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing the worker and its local servers into .venv (500 MB, once)"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local]'
	@touch $@

.venv/.page: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing the worker, its local servers and the live page into .venv (500 MB, once)"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,page]'
	@touch .venv/.local $@

.venv/.docs: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

.venv/.dev: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing the worker and what lint and the unit tests need into .venv (600 MB, once)"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

.venv/bin/helm: .venv/bin/python
	@command -v helm >/dev/null || command -v go >/dev/null || { echo "there is neither helm nor a go that could build it" >&2; exit 1; }
	@if command -v helm >/dev/null; then ln -sf "$$(command -v helm)" $@; else GOBIN="$(CURDIR)/$(BIN)" go install $(HELM); fi

.PHONY: otelcol
otelcol: .venv/bin/otelcol ## build OpenTelemetry's Collector by go; the tests of traces use it from then on (five minutes)

.venv/bin/otelcol: .venv/bin/python tests/servers/otelcol.yaml
	@command -v go >/dev/null || { echo "there is no go that could build it" >&2; exit 1; }
	go run $(COLLECTOR_BUILDER) --config tests/servers/otelcol.yaml
	cp build/otelcol/otelcol $@
.venv/.fuzz: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	@touch $@

.venv/.sbom: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[sbom]'
	@touch $@

.venv/.audit: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[audit]'
	@touch $@

.venv/bin/uv: .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt uv

.venv/.test: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing what tests and training need into .venv (6.4 GB with torch, once)"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,train,bench]'
	@touch .venv/.local .venv/.page .venv/.dev .venv/.docs $@
	@command -v chromium chromium-browser >/dev/null || \
		echo "The tests of the live page need Chromium, and there is none: apt-get install chromium" >&2
