"""A journal taken out of the observatory, and its offline verification.

One JSON object a line: a header (format, key, the head that covers everything), then entries in order, each signed
head after the last entry it covers, then an end. A proof of one entry is a single object. Nothing but the file
is needed to verify it; who also holds heads seen earlier passes them, and a journal rewritten since is found out.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from belvedere.engine.evidence import chain, merkle, stamps
from belvedere.engine.evidence.chain import SignedHead

FORMAT = "belvedere-journal-1"
PROOF = "belvedere-proof-1"
CONSISTENCY = "belvedere-consistency-1"
FIELDS = ("at", "actor", "action", "subject", "detail")


@dataclass(frozen=True)
class Verdict:
    """What a verification found: `number` is the first bad entry (0: the file itself), `why` in French; whole when empty."""

    number: int = 0
    why: str = ""
    entries: int = 0
    heads: int = 0
    stamped: int = 0

    @property
    def whole(self) -> bool:
        return not self.why


class _Broken(Exception):
    def __init__(self, number: int, why: str) -> None:
        self.verdict = Verdict(number, why)


def lines(entries: Iterable[Mapping[str, object]], heads: Iterable[SignedHead], final: SignedHead, key: Ed25519PublicKey) -> Iterator[str]:
    """The lines of an export; `heads` in order of size, `final` covers every entry."""
    yield json.dumps({"format": FORMAT, "log": final.log, "key": chain.public_text(key), "final": asdict(final)}, ensure_ascii=False)
    waiting = iter(heads)
    head = next(waiting, None)
    count, told = 0, 0
    for entry in entries:
        if count == final.size:
            break
        count += 1
        yield json.dumps({"entry": entry}, ensure_ascii=False)
        while head and head.size <= count:
            if head.size == count:
                told += 1
                yield json.dumps({"head": asdict(head)}, ensure_ascii=False)
            head = next(waiting, None)
    yield json.dumps({"end": {"entries": count, "heads": told}})


def verify(text: Iterable[str], known: Iterable[SignedHead] = (), key: Ed25519PublicKey | None = None) -> Verdict:
    """Check an export line by line; `known` are heads seen earlier, `key` the key that the reader trusts."""
    try:
        return _verify(iter(text), list(known), key)
    except _Broken as broken:
        return broken.verdict


def _parsed(line: str, number: int) -> dict:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _Broken(number, "la ligne n’est pas lisible")
    return found


def _head(content: Any, number: int) -> SignedHead:
    try:
        return SignedHead(**content)
    except TypeError:
        raise _Broken(number, "la tête signée n’est pas lisible") from None


def _verify(text: Iterator[str], known: list[SignedHead], trusted: Ed25519PublicKey | None) -> Verdict:
    header = _parsed(next(text, ""), 0)
    if header.get("format") != FORMAT:
        raise _Broken(0, f"ce n’est pas un journal exporté ({FORMAT})")
    try:
        key = chain.public_key(header["key"])
        final = _head(header["final"], 0)
    except (KeyError, ValueError, TypeError):
        raise _Broken(0, "l’en-tête est incomplet") from None
    if trusted is not None and chain.log_id(trusted) != chain.log_id(key):
        raise _Broken(0, "le journal est signé par une autre clé que celle à laquelle vous vous fiez")
    if not final.verified(key):
        raise _Broken(0, "la signature de la tête finale est fausse")
    tree, last, covered, heads, stamped, ended = merkle.Growing(), chain.GENESIS, 0, 0, 0, False
    for line in text:
        item = _parsed(line, tree.size + 1)
        if ended:
            raise _Broken(tree.size + 1, "des lignes suivent la fin du journal")
        if "entry" in item:
            if tree.size == final.size:
                raise _Broken(tree.size + 1, f"le journal scellé compte {final.size} entrées, celle-ci est de trop")
            last = _entry(item["entry"], tree.size + 1, last)
            tree.add(merkle.leaf_hash(bytes.fromhex(last)))
            if any(earlier.size == tree.size and earlier.root != tree.root.hex() for earlier in known):
                raise _Broken(tree.size, f"le journal a été réécrit : la tête connue de {tree.size} entrées en signe d’autres")
        elif "head" in item:
            head = _head(item["head"], covered + 1)
            _covers(head, tree, last, key, covered)
            stamped += _stamped(head, covered)
            covered, heads = head.size, heads + 1
        elif "end" in item:
            ended = True
            if item["end"] != {"entries": tree.size, "heads": heads}:
                raise _Broken(covered + 1, "le compte des entrées ou des têtes n’est pas celui de la fin du journal")
        else:
            raise _Broken(tree.size + 1, "la ligne n’est ni une entrée ni une tête")
    if tree.size < final.size:
        raise _Broken(tree.size + 1, f"l’entrée manque : le journal scellé en compte {final.size}")
    _covers(final, tree, last, key, covered)
    if not ended:
        raise _Broken(tree.size, "la fin du journal manque")
    if any(head.size > final.size for head in known):
        raise _Broken(final.size + 1, f"une tête connue compte {max(head.size for head in known)} entrées : le journal a été raccourci")
    if any(not head.verified(key) for head in known):
        raise _Broken(0, "une tête connue n’est pas signée par ce journal")
    return Verdict(entries=tree.size, heads=heads, stamped=stamped)


def _entry(entry: Mapping, number: int, previous: str) -> str:
    """Check one entry against the one before; its chain hash."""
    try:
        if entry["id"] != number:
            raise _Broken(number, f"l’entrée {number} est attendue, l’entrée {entry['id']} est à sa place")
        if entry["previous"] != previous:
            raise _Broken(number, "elle ne suit pas l’entrée d’avant")
        if entry["content"] != chain.content_hash(entry["salt"], *(entry[name] for name in FIELDS)):
            raise _Broken(number, "son contenu n’est plus celui qui a été scellé")
        if entry["digest"] != chain.chained(previous, number, entry["content"]):
            raise _Broken(number, "son empreinte ne suit pas de son contenu")
        return entry["digest"]
    except (KeyError, TypeError, ValueError):
        raise _Broken(number, "elle n’est pas lisible") from None


def _covers(head: SignedHead, tree: merkle.Growing, last: str, key: Ed25519PublicKey, covered: int) -> None:
    if head.size != tree.size:
        raise _Broken(min(head.size, tree.size) + 1, f"la tête de {head.size} entrées est placée après {tree.size}")
    if not head.verified(key):
        raise _Broken(covered + 1, f"la signature de la tête de {head.size} entrées est fausse")
    if head.root != tree.root.hex() or head.last != last:
        raise _Broken(covered + 1, f"une entrée de {covered + 1} à {head.size} n’est pas celle que la tête signée couvre")


def _stamped(head: SignedHead, covered: int) -> int:
    if not head.token:
        return 0
    if (why := stamps.wrong(head.token, head.signature.encode())) is not None:
        raise _Broken(covered + 1, f"l’horodatage de la tête de {head.size} entrées {why}")
    return 1


def consistency(first: SignedHead, second: SignedHead, path: Iterable[bytes], key: Ed25519PublicKey) -> dict[str, object]:
    """The proof that the journal of one signed head goes on, unchanged, into that of a later one."""
    return {
        "format": CONSISTENCY,
        "key": chain.public_text(key),
        "first": asdict(first),
        "second": asdict(second),
        "path": [item.hex() for item in path],
    }


def verify_consistency(content: Mapping, key: Ed25519PublicKey | None = None) -> Verdict:
    """Check a proof of consistency between two signed heads."""
    try:
        first, second, signer = _head(content["first"], 0), _head(content["second"], 0), chain.public_key(content["key"])
        path = [bytes.fromhex(item) for item in content["path"]]
        root = bytes.fromhex(first.root)
    except _Broken as broken:
        return broken.verdict
    except (KeyError, TypeError, ValueError):
        return Verdict(0, "la preuve n’est pas lisible")
    if key is not None and chain.log_id(key) != chain.log_id(signer):
        return Verdict(0, "la preuve est signée par une autre clé que celle à laquelle vous vous fiez")
    if not (first.verified(signer) and second.verified(signer)):
        return Verdict(0, "la signature d’une tête est fausse")
    found = merkle.implied_roots(first.size, second.size, root, path)
    if found is None or (found[0].hex(), found[1].hex()) != (first.root, second.root):
        return Verdict(0, "le journal de la seconde tête ne prolonge pas celui de la première")
    return Verdict(entries=0, heads=2)


def proof(entry: Mapping[str, object], head: SignedHead, path: Iterable[bytes], key: Ed25519PublicKey) -> dict[str, object]:
    """The proof that an entry stands in the journal that a head signs."""
    return {"format": PROOF, "key": chain.public_text(key), "entry": dict(entry), "head": asdict(head), "path": [item.hex() for item in path]}


def verify_proof(content: Mapping, key: Ed25519PublicKey | None = None) -> Verdict:
    """Check a proof of inclusion; the entry before is not needed."""
    number = 0
    try:
        entry, head, signer = content["entry"], _head(content["head"], 0), chain.public_key(content["key"])
        number = entry["id"]
        path = [bytes.fromhex(item) for item in content["path"]]
        _entry(entry, number, entry["previous"])
        leaf = merkle.leaf_hash(bytes.fromhex(entry["digest"]))
    except _Broken as broken:
        return broken.verdict
    except (KeyError, TypeError, ValueError):
        return Verdict(number, "la preuve n’est pas lisible")
    if key is not None and chain.log_id(key) != chain.log_id(signer):
        return Verdict(number, "la preuve est signée par une autre clé que celle à laquelle vous vous fiez")
    if not head.verified(signer):
        return Verdict(number, "la signature de la tête est fausse")
    found = merkle.implied_root(leaf, number - 1, head.size, path)
    if found is None or found.hex() != head.root:
        return Verdict(number, "le chemin ne mène pas à la racine signée")
    return Verdict(entries=1, heads=1)
