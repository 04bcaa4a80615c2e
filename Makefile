# Two commands on a fresh machine: `make study` and `make test`.  They need git, make and a Python
# from 3.11 to 3.14 with venv; everything else goes into .venv.

OKAY = import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c '$(OKAY)' 2>/dev/null && { echo $$p; break; }; done)
VENV = .venv/bin
STUDY ?= contact-centre

.PHONY: coverage study test install lab check notebooks lock clean soak audit

study: install  ## carry out a study and end with the path of its report
	@$(VENV)/sqm run $(STUDY)

test: install  ## every test: the rooms, the house, the batch, the notebooks
	$(VENV)/python -m pytest -n auto --dist loadfile

soak: install  ## kill, hang, starve and interrupt batches for the better part of an hour (TRIAL=kills for one)
	$(VENV)/python tests/soak.py $(TRIAL)
	@test -n "$(TRIAL)" || $(VENV)/python tests/soak_cluster.py
	@test -n "$(TRIAL)" || $(VENV)/python -m tests.soak_studies

audit: install  ## known faults and withdrawn releases among what requirements.lock pins
	$(VENV)/python -m tests.audit

coverage: install  ## simulate how often each interval holds the truth (the better part of an hour; ROOM=gaps for one)
	$(VENV)/python -m tests.intervals $(ROOM)

install: .venv/installed  ## the set-up alone

lab: install  ## JupyterLab, on the study's notebooks with its parameters filled in
	@test -e out/$(STUDY)/by-hand/1-define.ipynb || $(VENV)/sqm open $(STUDY)
	$(VENV)/jupyter lab out/$(STUDY)/by-hand

check: install  ## style
	$(VENV)/ruff check . && $(VENV)/ruff format --check .

notebooks: install  ## run the notebooks and store the outputs that a reader on the web needs
	$(VENV)/python tests/store_outputs.py

lock: install  ## pin all versions anew, for 3.11 to 3.14
	$(VENV)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements.lock

clean:  ## take the set-up away; out/ stays
	rm -rf .venv

.venv/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python from 3.11 to 3.14 with venv was found. To mend: install one" \
		"(on Debian and Ubuntu also python3-venv), or name it: make PYTHON=/path/to/python3"; exit 1; }
	@test -x $(VENV)/python || $(PYTHON) -m venv .venv
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.txt
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	@$(VENV)/uv pip sync --quiet --python $(VENV)/python --require-hashes --compile-bytecode requirements.lock
	@$(VENV)/uv pip install --quiet --python $(VENV)/python --no-deps --no-build-isolation --editable .
	@$(VENV)/python -m compileall -q sqm
	@touch $@
