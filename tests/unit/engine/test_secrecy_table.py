"""A table protected from the command line: every bad input is told with its row, and nothing is written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from belvedere.engine.secrecy.errors import catalogue

ROWS = ["place,who,group,federation,patients,amount"]
ROWS += [f"{place},w{n},g{n // 2},f{n % 3},{20 + n},{500 + 13 * n}" for place in ("A1", "A2", "B1") for n in range(12)]
ROWS += ["B2,w0,g0,f0,9,9000", "B2,w2,g1,f2,30,700"]
SPEC = {
    "title": "Essai", "dimensions": {"place": {"tree": {"T": None, "A": "T", "B": "T", "A1": "A", "A2": "A", "B1": "B", "B2": "B", "B3": "B"}}},
    "contributor": "who", "holding": "group", "federation": "federation", "patients": "patients", "measures": {"amount": "amount"},
}  # fmt: skip


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "belvedere", "secrecy", *arguments], capture_output=True, text=True, cwd=folder, check=False)


def written(folder: Path, rows=ROWS, spec=SPEC) -> None:
    (folder / "t.csv").write_text("\n".join(rows) + "\n")
    (folder / "s.yaml").write_text(yaml.safe_dump(spec))


def protect(folder: Path) -> subprocess.CompletedProcess:
    return run(folder, "protect", "t.csv", "--spec", "s.yaml", "--out", "out", "--json")


def changed(row: int, **values: str) -> list[str]:
    names, cells = ROWS[0].split(","), ROWS[row].split(",")
    return [*ROWS[:row], ",".join(values.get(name, cell) for name, cell in zip(names, cells, strict=True)), *ROWS[row + 1 :]]


def with_tree(**parents) -> dict:
    return {**SPEC, "dimensions": {"place": {"tree": {**SPEC["dimensions"]["place"]["tree"], **parents}}}}


BAD = {
    "S102": (ROWS, with_tree(B3="Z"), ("B3", "Z")),
    "S103": (ROWS, with_tree(A="A1"), ("boucle",)),
    "S104": (changed(3, place="C9"), SPEC, ("ligne 4", "C9")),
    "S105": (ROWS, {**SPEC, "measures": {"amount": "euros"}}, ("euros",)),
    "S106": ([*ROWS, ROWS[5]], SPEC, ("ligne 40", "w4")),
    "S107": (changed(7, amount="NaN"), SPEC, ("ligne 8", "amount")),
    "S108": (changed(9, patients="-3"), SPEC, ("ligne 10", "patients")),
    "S109": (changed(15, group="g9"), SPEC, ("w2", "g1", "g9")),
    "S110": (ROWS, {**SPEC, "forced": [["B2"]]}, ("B2",)),
    "S112": (ROWS, {**SPEC, "rules": {"seuil": 3}}, ("seuil",)),
    "S113": (changed(15, federation="f9"), SPEC, ("w2", "f2", "f9")),
}


@pytest.mark.parametrize("code", BAD)
def test_bad_input_is_told_with_its_row_and_nothing_is_written(tmp_path, code):
    rows, spec, told = BAD[code]
    written(tmp_path, rows, spec)
    done = protect(tmp_path)
    assert done.returncode == 2, done.stderr
    assert code in done.stderr
    assert catalogue()[code][1].split("{")[0][:20] in done.stderr
    assert all(word in done.stderr for word in told), done.stderr
    assert not (tmp_path / "out").exists()


def test_a_table_that_is_not_one_is_told(tmp_path):
    written(tmp_path)
    (tmp_path / "t.csv").write_bytes(b"\x00\xff\x00 nothing\n\x80,,,\n1,2")
    done = protect(tmp_path)
    assert done.returncode == 2
    assert "S101" in done.stderr or "S105" in done.stderr


def test_protect_then_audit_then_touch(tmp_path):
    written(tmp_path)
    done = protect(tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["leaks"] == []
    assert report["primaries"] >= 1
    assert report["readers"]["holdings"] == 6
    sealed = tmp_path / "out" / "dossier"
    assert sealed.stat().st_mode & 0o077 == 0
    assert run(tmp_path, "audit", "out").returncode == 0
    assert run(tmp_path, "protect", "t.csv", "--spec", "s.yaml", "--out", "out").returncode != 0, "a folder is never written over"
    cells = (sealed / "cellules.csv").read_text().splitlines()
    hidden = next(rank for rank, line in enumerate(cells) if '"secondary"' in line)
    os.chmod(sealed / "cellules.csv", 0o600)
    (sealed / "cellules.csv").write_text("\n".join([*cells[:hidden], cells[hidden].replace("secondary", "published"), *cells[hidden + 1 :]]) + "\n")
    touched = run(tmp_path, "audit", "out")
    assert touched.returncode == 2
    assert "altéré" in touched.stdout
    assert "déduite" in touched.stdout or "somme déductible" in touched.stdout or "sans preuve" in touched.stdout
    (sealed / "certificat.npz").unlink()
    assert "S116" in run(tmp_path, "audit", "out").stderr


def test_a_mask_made_elsewhere_is_audited(tmp_path):
    written(tmp_path)
    status = {
        "T": "published",
        "A": "published",
        "B": "published",
        "A1": "published",
        "A2": "published",
        "B1": "published",
        "B2": "primary",
        "B3": "published",
    }
    (tmp_path / "m.csv").write_text("place,etat\n" + "".join(f"{code},{word}\n" for code, word in status.items()))
    done = run(tmp_path, "audit", "m.csv", "--spec", "s.yaml", "--status", "etat")
    assert done.returncode == 2
    assert "déduite par différence : B2" in done.stdout
    status["B1"] = "secondary"
    (tmp_path / "m.csv").write_text("place,etat\n" + "".join(f"{code},{word}\n" for code, word in status.items()))
    assert run(tmp_path, "audit", "m.csv", "--spec", "s.yaml", "--status", "etat").returncode == 0
    (tmp_path / "m.csv").write_text("place,etat\nB2,caché\n")
    assert "S114" in run(tmp_path, "audit", "m.csv", "--spec", "s.yaml", "--status", "etat").stderr
    assert run(tmp_path, "audit", "m.csv").returncode == 70
