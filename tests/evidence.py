"""Journals made without a database: entries, heads and the lines of their export."""

import datetime as dt

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from belvedere.engine.evidence import archive, chain, merkle
from belvedere.engine.evidence.chain import SignedHead

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def entries(count: int, told: str = "x") -> list[dict]:
    """A chain of `count` entries."""
    made, previous = [], chain.GENESIS
    for number in range(1, count + 1):
        salt, at = f"{number:032x}", chain.moment(NOON + dt.timedelta(seconds=number))
        said = ("personne:1", "essai", f"objet:{number}", {"compte": number, "dit": told})
        content = chain.content_hash(salt, at, *said)
        digest = chain.chained(previous, number, content)
        fields = dict(zip(("actor", "action", "subject", "detail"), said, strict=True))
        made.append({"id": number, "at": at, **fields, "salt": salt, "content": content, "previous": previous, "digest": digest})
        previous = digest
    return made


def leaves(rows: list[dict]) -> list[bytes]:
    return [merkle.leaf_hash(bytes.fromhex(row["digest"])) for row in rows]


def head(rows: list[dict], size: int, key: Ed25519PrivateKey = KEY) -> SignedHead:
    """The signed head of the first `size` entries."""
    root, at = merkle.root(leaves(rows)[:size]).hex(), chain.moment(NOON + dt.timedelta(minutes=size))
    return SignedHead(chain.log_id(key.public_key()), size, root, rows[size - 1]["digest"], at).sign(key)


def export(rows: list[dict], sizes: list[int], key: Ed25519PrivateKey = KEY) -> list[str]:
    """The lines of an export whose heads stand at `sizes`, the last of which covers everything."""
    heads = [head(rows, size, key) for size in sizes]
    return list(archive.lines(rows, heads, heads[-1], key.public_key()))
