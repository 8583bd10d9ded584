"""Signed heads of the journal: every minute or thousand entries, time-stamped when an authority is configured."""

import datetime as dt
import logging
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.db import transaction
from django.utils import timezone
from pyhanko.sign.timestamps import TimeStamper

from belvedere.engine.evidence import archive, chain, merkle
from belvedere.engine.evidence.chain import SignedHead
from belvedere.engine.privacy.pseudonyms import KeyFileError
from belvedere.observatory import stamping
from belvedere.observatory.journal.actions import told
from belvedere.observatory.journal.models import Entry, Head, Node, TreeHead
from belvedere.observatory.keyfiles import keys_dir, pem, strict, write_secret

logger = logging.getLogger(__name__)
ENTRIES, SECONDS = 1000, 60.0
STAMP_LATE = dt.timedelta(hours=4)


class Rewritten(Exception):
    """The journal no longer agrees with a head that was signed: the observatory refuses to sign over it."""


def create_key() -> None:
    """Make the key that signs heads, if it is missing (Ed25519)."""
    if not (keys_dir() / "journal.key").exists():
        write_secret(keys_dir() / "journal.key", pem(Ed25519PrivateKey.generate()))


@cache
def _key(folder: Path) -> Ed25519PrivateKey:
    found = serialization.load_pem_private_key(strict(folder / "journal.key"), password=None)
    if not isinstance(found, Ed25519PrivateKey):
        raise KeyFileError("journal.key n’est pas une clé Ed25519.")
    return found


def public_key() -> Ed25519PublicKey:
    """The key that verifies heads."""
    return _key(keys_dir()).public_key()


def _leaves(low: int, high: int) -> list[bytes]:
    rows = Entry.objects.filter(pk__gt=low, pk__lte=high).order_by("pk").values_list("digest", flat=True)
    return [merkle.leaf_hash(bytes.fromhex(digest)) for digest in rows.iterator()]


def _kept(height: int, rank: int) -> bytes | None:
    found = Node.objects.filter(height=height, rank=rank).values_list("digest", flat=True).first()
    return bytes.fromhex(found) if found else None


def _keep_subtrees(before: int, size: int) -> None:
    """Store the subtrees of 256 leaves and more that the entries after `before` complete."""
    block = merkle.BLOCK
    for rank in range(before >> block, size >> block):
        digest = merkle.subtree(rank << block, (rank + 1) << block, _leaves)
        Node.objects.create(height=block, rank=rank, digest=digest.hex())
        height = block
        while rank & 1:
            left = _kept(height, rank - 1)
            assert left is not None
            height, rank, digest = height + 1, rank >> 1, merkle.node_hash(left, digest)
            Node.objects.create(height=height, rank=rank, digest=digest.hex())


def due(now: dt.datetime | None = None) -> bool:
    """Whether entries wait for a head: a thousand of them, or the last head is a minute old."""
    size = Head.objects.filter(pk=1).values_list("size", flat=True).first() or 0
    last = TreeHead.objects.order_by("-size").first()
    waiting = size - (last.size if last else 0)
    if not waiting:
        return False
    age = (now or timezone.now()) - dt.datetime.fromisoformat(last.at) if last else dt.timedelta(days=1)
    return waiting >= ENTRIES or age.total_seconds() >= SECONDS


def seal() -> TreeHead | None:
    """Sign a head over every entry written so far; the last one when nothing is new, None for an empty journal."""
    with transaction.atomic():
        end = Head.objects.select_for_update(of=("self",)).filter(pk=1).first()
        last = TreeHead.objects.order_by("-size").first()
        if end is None or end.size == 0 or (last and last.size == end.size):
            return last
        if last and Entry.objects.filter(pk=last.size).values_list("digest", flat=True).first() != last.last:
            raise Rewritten(f"entry {last.size} is not the one that the last head signed: nothing more is signed over it")
        _keep_subtrees(last.size if last else 0, end.size)
        root = merkle.subtree(0, end.size, _leaves, _kept).hex()
        key = _key(keys_dir())
        head = SignedHead(chain.log_id(key.public_key()), end.size, root, end.digest, chain.moment(timezone.now())).sign(key)
        return TreeHead.objects.create(size=head.size, log=head.log, root=head.root, last=head.last, at=head.at, signature=head.signature)


def stamp(stamper: TimeStamper | None = None, limit: int = 20) -> int:
    """Ask the configured authority for the time-stamps that heads lack, newest first; returns how many came. An authority
    that does not answer delays the stamps, never the journal."""
    stamper = stamper or stamping.authority()
    done = 0
    for head in TreeHead.objects.filter(token="").order_by("-size")[:limit] if stamper else ():
        try:
            token = stamping.token(stamper, head.signature.encode())
        except (OSError, ValueError) as error:  # no answer, or one that is no time-stamp: the next turn asks again
            logger.error("horodatage en attente : %s", type(error).__name__)
            break
        done += TreeHead.objects.filter(pk=head.pk, token="").update(token=token)
    return done


def signed(head: TreeHead) -> SignedHead:
    """A stored head as the engine knows it."""
    return SignedHead(head.log, head.size, head.root, head.last, head.at, head.signature, head.token)


def export() -> Iterator[str]:
    """The whole journal with its heads, line by line; a head is signed first so that everything is covered."""
    final = seal()
    if final is None:
        raise ValueError("Le journal est vide : il n’y a rien à exporter.")
    entries = (told(entry) for entry in Entry.objects.filter(pk__lte=final.size).order_by("pk").iterator())
    return archive.lines(entries, map(signed, TreeHead.objects.filter(size__lte=final.size).iterator()), signed(final), public_key())


def consistency(first: int, second: int) -> dict[str, object] | None:
    """The proof that the journal of one signed head goes on into that of another, named by their sizes; None when either was never signed."""
    if not 0 < first <= second < 2**63:
        return None
    heads = {head.size: signed(head) for head in TreeHead.objects.filter(size__in=(first, second))}
    if first not in heads or second not in heads:
        return None
    return archive.consistency(heads[first], heads[second], merkle.consistency(first, second, _leaves, _kept), public_key())


def stamp_overdue(now: dt.datetime | None = None) -> bool:
    """Whether an authority is set and has stamped nothing for four hours though heads wait for it: what comes meanwhile could be dated at will
    (X-Road's rule)."""
    if stamping.authority() is None:
        return False
    limit = (now or timezone.now()) - STAMP_LATE
    last = TreeHead.objects.exclude(token="").order_by("-size").first()
    waiting = TreeHead.objects.filter(token="", size__gt=last.size if last else 0).order_by("size").first()
    return waiting is not None and dt.datetime.fromisoformat(waiting.at) < limit


def proof(number: int) -> dict[str, object] | None:
    """The proof that an entry stands in the journal, against the newest head; None when there is no such entry."""
    head = TreeHead.objects.order_by("-size").first()
    if head is None or head.size < number:
        head = seal()
    entry = Entry.objects.filter(pk=number).first()
    if entry is None or head is None:
        return None
    path: Sequence[bytes] = merkle.inclusion(number - 1, head.size, _leaves, _kept)
    return archive.proof(told(entry), signed(head), path, public_key())
