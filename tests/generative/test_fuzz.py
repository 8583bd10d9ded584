"""Bad input: whatever the bytes, a finding of the catalogue, in bounded time and memory, and never a crash."""

import os
import random
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from belvedere.engine.b2.findings import rules
from belvedere.engine.privacy.pseudonyms import PseudonymKeys
from belvedere.engine.sector.billing import make_sector, month_file
from belvedere.engine.warehouse.intake import Examined, examine
from tests.flows import FIRST

KEYS = PseudonymKeys(b"1" * 32, b"2" * 32)
LONG = os.environ.get("BELVEDERE_LONG") == "1"


def _small() -> list[bytes]:
    """Whole, sound files of a few kilobytes, in both families."""
    tiny = make_sector(seed=4, first=FIRST, providers=8, groups=4, months=2, patients=70, establishments=4)
    files = [month_file(tiny, provider.rank, month) for provider in tiny.providers for month in range(2)]
    small = [content for content in files if 0 < len(content) < 12_000]
    for content in small:
        examine([content], keys=KEYS)  # the compiled loops are loaded before anything is timed
    return small


SMALL = _small()
many = settings(deadline=None, max_examples=4000 if LONG else 800, suppress_health_check=list(HealthCheck))


def looked_at(content: bytes, policy: str = "invoice") -> Examined:
    started = time.monotonic()
    found = examine([content], keys=KEYS, policy=policy)
    assert time.monotonic() - started < 2, "a small file takes no time"
    assert all(item.code in rules() and item.message and "{" not in item.message for item in found.findings)
    assert found.refused or found.records
    return found


def inside(found: Examined, content: bytes) -> bool:
    """Every finding names a record that the file has, or the one that should follow its last."""
    return all(0 <= item.record <= len(content) // 128 + 1 for item in found.findings)


@many
@given(st.binary(max_size=2000))
def test_any_bytes(content):
    assert looked_at(content).refused


@many
@given(st.sampled_from(SMALL), st.lists(st.tuples(st.integers(0, 128 * 42 - 1), st.integers(0, 255)), max_size=12))
def test_bytes_changed(content, changes):
    out = bytearray(content)
    for at, value in changes:
        if at < len(out):
            out[at] = value
    assert inside(looked_at(bytes(out)), out)


@many
@given(
    st.sampled_from(SMALL),
    st.lists(st.tuples(st.sampled_from(["drop", "twice", "swap", "cut", "insert"]), st.integers(0, 60), st.integers(0, 60)), max_size=6),
)
def test_records_moved(content, moves):
    lines = [content[at : at + 128] for at in range(0, len(content), 128)]
    for how, one, other in moves:
        one, other = one % max(len(lines), 1), other % max(len(lines), 1)
        if not lines:
            break
        if how == "drop":
            del lines[one]
        elif how == "twice":
            lines.insert(one, lines[other])
        elif how == "swap":
            lines[one], lines[other] = lines[other], lines[one]
        elif how == "cut":
            lines[one] = lines[one][: other * 2]
        else:
            lines[one] = lines[one] + b"7" * other
    out = b"".join(lines)
    assert inside(looked_at(out), out)


def mutated(rng: random.Random, content: bytes) -> bytes:
    """A file damaged as a fuzzer damages: bytes, runs, digits, records, splices."""
    out = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        how, at = rng.randrange(8), rng.randrange(max(len(out), 1))
        if how == 0 and out:
            out[at % len(out)] = rng.randrange(256)
        elif how == 1 and out:
            out[at % len(out)] = rng.choice(b"0123456789 AFL@")
        elif how == 2:
            del out[at : at + rng.choice((1, 2, 127, 128, 256))]
        elif how == 3:
            out[at:at] = bytes(rng.choice((b" ", b"0", b"\n", b"\xff", b"9" * 128, b"\x00" * 64)))
        elif how == 4:
            record = rng.randrange(max(len(out) // 128, 1)) * 128
            out[record : record + 1] = rng.choice((b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"9"))
        elif how == 5:
            record, other = (rng.randrange(max(len(out) // 128, 1)) * 128 for _ in range(2))
            out[record : record + 128] = out[other : other + 128]
        elif how == 6:
            record = rng.randrange(max(len(out) // 128, 1)) * 128
            out[record + 35 : record + 36] = rng.choice((b"F", b"S", b"E", b"B", b"M", b"Z", b" "))
        else:
            out[at : at + 7] = b"9999999"[: len(out[at : at + 7])]
    return bytes(out)


def test_the_seeds_are_sound_and_of_both_families():
    assert len(SMALL) >= 4
    found = [looked_at(content) for content in SMALL]
    assert not any(item.refused for item in found)
    assert {bool(item.counts.get("3")) for item in found} == {True, False}


def test_many_damaged_files():
    """100,000 in the long tests; a few thousand otherwise. The seed is drawn and told when it fails."""
    seed = random.SystemRandom().randrange(10**9)
    rng = random.Random(seed)
    count = 100_000 if LONG else 3_000
    for number in range(count):
        content = mutated(rng, rng.choice(SMALL))
        try:
            looked_at(content)
        except Exception as error:
            raise AssertionError(f"seed {seed}, file {number}") from error
