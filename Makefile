# Two commands: `make report` and `make test`. Each is a `python -m kdutils` command, run in .venv.
# `make help` lists all; where there is no make: README.md, "Without make".

PYTHON ?= python3
PY := .venv/bin/python
READY := .venv/.ready

.DEFAULT_GOAL := help

# A misspelt variable would be passed over without a word: make report PROFLE=laptop.
ALLOWED := PYTHON PROFILE ONLY SET SEEDS OUT NN JOBS MINUTES
GIVEN := $(foreach v,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(v)))),$(v)))
UNKNOWN := $(filter-out $(ALLOWED) -%,$(GIVEN))
ifneq ($(strip $(UNKNOWN)),)
$(error unknown variable $(UNKNOWN); allowed: $(ALLOWED))
endif

ARGUMENTS = $(if $(PROFILE),--profile $(PROFILE)) $(if $(SEEDS),--seeds $(SEEDS))

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s%s\n", $$1, $$2 }'
	@echo
	@echo "with PROFILE=smoke|laptop|paper, ONLY=03, SEEDS=0,1,2, SET=NAME=VALUE, OUT=folder; for make run, NN=03 JOBS=2 MINUTES=60"

book: $(READY) ## the recorded results as HTML, build/book/index.html: no training, no data
	@$(PY) -m kdutils book $(if $(OUT),--out '$(OUT)')

pdf: $(READY) ## the same as one PDF, build/book.pdf (needs Chromium)
	@$(PY) -m kdutils pdf $(if $(OUT),--out '$(OUT)')

report: $(READY) ## run every notebook, write build/report/index.html
	@$(PY) -m kdutils report $(ARGUMENTS) $(if $(ONLY),--only $(ONLY)) $(if $(SET),--set '$(SET)') $(if $(OUT),--out '$(OUT)')

test: $(READY) ## ruff, pytest, nbval
	@$(PY) -m kdutils test

lab: $(READY) ## open the course in JupyterLab
	@$(PY) -m kdutils lab

results: $(READY) ## every recorded result beside the published one
	@$(PY) -m kdutils results $(or $(NN),$(ONLY))

run: $(READY) ## train what notebook NN, or the whole course, needs and the store lacks
	@$(PY) -m kdutils run $(or $(NN),$(ONLY)) $(ARGUMENTS) $(if $(JOBS),--jobs $(JOBS)) $(if $(MINUTES),--minutes $(MINUTES))

bench: $(READY) ## speed side by side in one run, as ratios; on an idle machine
	@$(PY) -m kdutils bench

student: $(READY) ## the notebooks with blanks to fill in, in build/student
	@$(PY) -m kdutils student

damage: $(READY) ## damage copies of every kind of file that is read; all must be found
	@$(PY) tests/damage.py

sync: $(READY) ## bring .py and .ipynb of each notebook to the same text
	@$(PY) -m kdutils sync

setup: $(READY) ## create .venv and install the locked packages

lock: $(READY) ## write requirements.lock anew from pyproject.toml
	$(PY) -m pip install --quiet uv
	$(PY) -m uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		pyproject.toml --output-file requirements.lock

clean: ## remove build/ (not .venv, data or runs)
	rm -rf build

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "This needs Python 3.11, 3.12 or 3.13; $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12 ..." % v)'
	@echo "Installing the locked packages into .venv (once; some minutes, most of them for PyTorch)"
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --disable-pip-version-check -r requirements.lock
	$(PY) -m pip install --disable-pip-version-check --quiet --no-deps -e .
	@touch $(READY)

.PHONY: help book pdf report test lab results run bench student damage sync setup lock clean
