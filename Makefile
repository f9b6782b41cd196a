# One command each for what a person does here; `make help` lists them. Needs GNU make 3.81 or newer and any sh.
# On Windows `uv run handrail dev` and `uv run pytest` do what `make run` and `make test` do here.

PYTHON   ?= python3
# Where handrail comes from when packages/handrail is not here: the path of a wheel, or a requirement.
HANDRAIL ?= $(or $(wildcard vendor/handrail-*.whl),handrail)

VENV := .venv
BIN  := $(VENV)/bin
# The folder exists only in handrail's own repository; everything below works without it.
HANDRAIL_HERE  := $(wildcard packages/handrail)
# The stamp is named after .venv's Python, so that another or a vanished Python means: install anew.
python_version := $(BIN)/python -I -S -c "import sys; print('%d.%d' % sys.version_info[:2])" 2>/dev/null
PYTHON_VERSION := $(shell $(python_version))
STAMP          := $(VENV)/.installed-$(PYTHON_VERSION)

# Without compiled files every start takes two to three times as long, so they are written here whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE
# What another activated environment left behind must not reach into this one.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH
ifneq ($(SCRATCH_URL),)
export HANDRAIL_SCRATCH_URL := $(value SCRATCH_URL)
endif

.DEFAULT_GOAL := help
.PHONY: help install run admin test check format lock coverage fuzz bench build clean \
	check-format check-lint check-types check-imports check-dependencies check-lock check-schema check-docs

##@ Every day

install: $(STAMP) ## Set up .venv from requirements.lock; does nothing when it is up to date

run: $(STAMP) ## PostgreSQL, migrations, then the service on http://127.0.0.1:8000 (PORT=8001)
	@$(BIN)/handrail dev $(if $(PORT),--port $(PORT))

admin: $(STAMP) ## Make an administrator: make admin EMAIL=ada@example.com
	@test -n "$(EMAIL)" || { echo "Whom? make admin EMAIL=ada@example.com" >&2; exit 2; }
	@DATABASE_URL="$${DATABASE_URL:-$$($(BIN)/handrail db url)}" $(BIN)/python -m app.auth admin "$(EMAIL)"

test: $(STAMP) ## All tests on a throwaway PostgreSQL, or on SCRATCH_URL=postgresql://... (ARGS="-k users")
	@$(pytest) $(ARGS)

##@ Before a commit

check: check-format check-lint check-types check-imports check-dependencies check-lock check-schema check-docs ## Format, lint, types, import contracts, dependencies, lockfile, schema.sql, docs
	@echo "All checks passed."

format: $(STAMP) ## Format the code, and mend what the linter can mend by itself
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

##@ Now and then

lock: ## Write requirements.lock anew from the pyproject files (UPGRADE=1 for the newest versions)
	@uv=$$(command -v uv) || { uv=$(BIN)/uv; test -x $$uv; } || { $(make_venv); $(BIN)/python -m pip install -qq uv; } || exit 1; \
	echo "$(if $(wildcard $(HANDRAIL)),handrail @ )$(HANDRAIL)" | \
	$$uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --group dev --no-emit-package handrail \
		$(if $(HANDRAIL_HERE),,--no-sources --overrides -) $(if $(UPGRADE),--upgrade) \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

coverage: $(STAMP) ## All tests, and the lines that none of them runs; takes a third longer
	@$(pytest) --cov=app $(HANDRAIL_HERE:%=--cov=%/src) $(ARGS)

fuzz: $(STAMP) ## More requests than make test sends, made up from the OpenAPI document (CASES=350 of each operation)
	@FUZZ_CASES=$(or $(CASES),350) $(BIN)/python -m pytest tests/test_openapi.py -n auto --timeout 1800 $(ARGS)

bench: $(STAMP) ## Measure against Alembic's own template and a hand-written start (ARGS="commands --quick")
	@$(BIN)/python -m bench $(ARGS)

build: $(STAMP) ## The wheel of packages/handrail, into dist/
	@test -d packages/handrail || { echo "Nothing to build: packages/handrail is not here." >&2; exit 1; }
	@$(BIN)/python -m pip wheel -qq --no-deps --wheel-dir dist ./packages/handrail && ls dist/handrail-*.whl

clean: ## Remove caches and build results; .venv and the development database stay
	@rm -rf build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@rm -rf $(addprefix packages/handrail/,build dist .mypy_cache .import_linter_cache)
	@find $(wildcard app alembic tests bench packages .ci) -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## This list
	@awk 'BEGIN { FS = ":.*## " } /^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

# --- The steps of `make check`, each a target too; `make -k check` goes on after a failure ---

check-format: $(STAMP)
	@echo "== Format (ruff)"
	@$(BIN)/ruff format --check --quiet . || { echo "make format mends this."; exit 1; }

check-lint: $(STAMP)
	@echo "== Lint (ruff)"
	@$(BIN)/ruff check --quiet .

check-types: $(STAMP)
	@echo "== Types (mypy)"
	@$(BIN)/mypy --no-error-summary $(sort $(dir $(wildcard app/*.py tests/*.py bench/*.py .ci/*.py))) $(wildcard alembic/env.py)
ifneq ($(HANDRAIL_HERE),)
	@cd packages/handrail && MYPYPATH=src:tests ../../$(BIN)/mypy --no-error-summary --config-file ../../pyproject.toml \
		--explicit-package-bases src tests
endif

check-imports: $(STAMP)
	@echo "== Import contracts (import-linter)"
	@$(call quietly,$(BIN)/lint-imports --no-logo)
ifneq ($(HANDRAIL_HERE),)
	@cd packages/handrail && $(call quietly,../../$(BIN)/lint-imports --no-logo)
endif

check-dependencies: $(STAMP)
	@echo "== Unused and missing dependencies (deptry)"
	@$(call quietly,$(BIN)/deptry --no-ansi .)
ifneq ($(HANDRAIL_HERE),)
	@cd packages/handrail && $(call quietly,../../$(BIN)/deptry --no-ansi src)
endif

check-lock: $(STAMP)
	@echo "== Lockfile"
	@$(BIN)/python .ci/check_lock.py

# On a throwaway PostgreSQL, which is started for it.
check-schema: $(STAMP)
	@echo "== alembic/schema.sql"
	@$(BIN)/handrail schema --check

check-docs: $(STAMP)
	@echo "== Documentation"
	@$(BIN)/python .ci/check_docs.py

pytest = $(HANDRAIL_HERE:%=$(BIN)/python %/tests/in_memory.py) $(BIN)/python -m pytest -n auto --dist worksteal

# Run a talkative tool and show what it said only when it failed.
quietly = output=$$($(1) 2>&1) || { printf '%s\n' "$$output"; exit 1; }

# --- The virtual environment ---

# The stamp is written last: an install that failed or was interrupted is done again.
$(STAMP): requirements.lock pyproject.toml $(wildcard packages/handrail/pyproject.toml) $(wildcard $(HANDRAIL))
	@$(make_venv)
	@echo "Installing the packages of requirements.lock (some 20 seconds the first time) ..."
	@$(BIN)/python -m pip install -qq --no-deps --no-compile --require-hashes -r requirements.lock
ifneq ($(HANDRAIL_HERE),)
	@echo "Installing handrail from packages/handrail ..."
	@$(BIN)/python -m pip install -qq --no-deps --editable packages/handrail
else
	@echo "Installing handrail ..."
	@$(BIN)/python -m pip install -qq --no-deps --force-reinstall "$(HANDRAIL)"
endif
	@$(BIN)/python .ci/check_lock.py
	@echo "Compiling ..."
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib $(wildcard app alembic packages/handrail/src) || :
	@touch $(VENV)/.installed-$$($(python_version))

# A .venv whose Python is gone has no folder of that version any more. Where Debian leaves ensurepip out, the machine's
# own pip puts one into .venv.
define make_venv
$(if $(python_fault),$(error $(python_fault)))\
test -d $(VENV)/lib/python$(PYTHON_VERSION) || { \
	echo "Creating $(VENV) with $$($(PYTHON) --version 2>&1) ..." && rm -rf $(VENV) && $(PYTHON) -m venv --without-pip $(VENV); } && \
{ $(BIN)/python -c "import pip" 2>/dev/null || $(BIN)/python -m ensurepip --default-pip >/dev/null 2>&1 || \
	$(PYTHON) -m pip --python $(BIN)/python install -qq pip || \
	{ echo "$(PYTHON) could not give pip to $(VENV); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; }
endef

python_fault = $(shell command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found; Python 3.11 or newer is needed: make install PYTHON=/path/to/python3"; exit; }; \
	$(PYTHON) -c "import sys; v = '%d.%d' % sys.version_info[:2]; sys.version_info >= (3, 11) or print('$(PYTHON) is Python ' + v + '; 3.11 or newer is needed: make install PYTHON=python3.12')"; \
	$(PYTHON) -c "import venv" 2>/dev/null || echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt install python3-venv")
