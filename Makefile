# The two commands of the README are `make demo` and `make test`; both set everything up by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-long check fix setup browser spark docs bench clean

demo: setup
	$(BIN)/belvedere demo --data data/demo

test: setup browser check
	$(BIN)/pytest tests -n 2 --dist loadfile
	BELVEDERE_TEST_DATABASE=postgresql $(BIN)/pytest tests/unit/observatory -n 2 --dist loadfile

test-long: test spark
	$(BIN)/python tools/spark_cluster.py $(BIN)/pytest tests/unit/engine/test_engines.py tests/unit/engine/test_cells.py
	BELVEDERE_LONG=1 $(BIN)/pytest tests/generative -n 2
	BELVEDERE_LONG=1 $(BIN)/pytest tests/functional/test_nothing_lost.py tests/functional/test_crash_loop.py tests/functional/test_restitutions.py tests/functional/test_story.py
	@$(BIN)/python -c 'import atheris' 2>/dev/null && $(BIN)/python tests/fuzz/intake_fuzzer.py -runs=100000 -artifact_prefix=build/ || \
	  { $(BIN)/python -c 'import atheris' 2>/dev/null && exit 1; echo "atheris n’a pas de paquet pour cette machine : le fuzzing guidé est laissé de côté"; }
	$(BIN)/belvedere bench intake --growth
	$(BIN)/python benchmarks/load.py
	$(BIN)/python benchmarks/run.py

setup: $(VENV)/.ready

$(VENV)/.ready: constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 ou plus récent est nécessaire") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Spark itself, in an environment of its own: its package and the thin client have the same name.
spark: setup
	@command -v java >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq openjdk-17-jre-headless >/dev/null; } || \
	  { echo "Java manque : installez un environnement d’exécution Java 17 ou plus récent, puis relancez."; exit 1; }
	@test -e build/spark/.ready || { $(PYTHON) -m venv build/spark && build/spark/bin/python -m pip install --quiet --disable-pip-version-check pyspark==4.2.0 setuptools && touch build/spark/.ready; }

browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium fonts-dejavu-core >/dev/null; } || \
	  { echo "Chromium manque : installez le paquet « chromium » de votre système, puis relancez."; exit 1; }

check: setup
	@$(BIN)/python tools/check.py

fix: setup
	$(BIN)/ruff format src tests tools benchmarks
	$(BIN)/ruff check --fix src tests tools benchmarks

docs: setup
	$(BIN)/python tools/reference.py

bench: setup
	$(BIN)/belvedere bench intake
	$(BIN)/belvedere bench secrecy
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf $(VENV) data/demo build
