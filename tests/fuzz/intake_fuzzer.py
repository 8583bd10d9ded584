"""Coverage-guided fuzzing of what reads strangers' bytes: python tests/fuzz/intake_fuzzer.py [-runs=N] (libFuzzer options).

Three readers share the input: a clear flow, the public part of an envelope, a NOEMIE return. Anything but a
finding is a crash; libFuzzer keeps the input that caused it.
"""

import datetime as dt
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import atheris

import belvedere.engine.b2.digits  # compiled loops cannot be instrumented: imported first, as they are

with atheris.instrument_imports(include=["belvedere.engine.b2", "belvedere.engine.warehouse.intake", "belvedere.engine.warehouse.ledger"]):
    from belvedere.engine.b2 import noemie
    from belvedere.engine.b2.envelope import open_envelope
    from belvedere.engine.b2.findings import B2Error
    from belvedere.engine.privacy.pseudonyms import PseudonymKeys
    from belvedere.engine.warehouse.intake import examine

assert belvedere.engine.b2.digits
KEYS = PseudonymKeys(b"1" * 32, b"2" * 32)
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def one(data: bytes) -> None:
    if not data:
        return
    target, content = data[0] % 4, data[1:]
    if target < 2:
        found = examine([content], keys=KEYS, policy="invoice")
        assert found.refused or found.records
        return
    try:
        open_envelope(content, (), NOW) if target == 2 else noemie.returns(content)
    except B2Error:
        return


def seeds(folder: Path) -> None:
    """Sound inputs to start from, made here: none is kept in the project."""
    from tests.generative.test_fuzz import SMALL
    from tests.unit.engine.test_envelope import holder, sealed_as
    from tests.unit.engine.test_noemie import HEADER, ITEMS

    made = [b"\x00" + content for content in SMALL] + [b"\x02" + sealed_as(b"x" * 64, to=holder())]
    made += [b"\x03" + noemie.render(ITEMS, blocked=blocked, header=HEADER) for blocked in (True, False)]
    for number, content in enumerate(made):
        (folder / f"seed{number}").write_bytes(content)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="belvedere-fuzz-") as corpus:
        seeds(Path(corpus))
        atheris.Setup([sys.argv[0], "-max_len=16384", "-timeout=10", "-rss_limit_mb=2048", *sys.argv[1:], corpus], one)
        atheris.Fuzz()
