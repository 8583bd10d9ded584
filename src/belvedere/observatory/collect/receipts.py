"""Receipts: what the observatory signs about a flow (JWS, Ed25519), with its place in the journal."""

import json
import os
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from belvedere.observatory.collect import keyring, vault
from belvedere.observatory.collect.models import Flow
from belvedere.observatory.environment import read
from belvedere.observatory.journal.actions import Place

HANDED_BACK = ("sftp", "folder")  # ways that write receipts back as files
_TYPE = "belvedere-receipt+jwt"


def content(flow: Flow) -> dict:
    """Everything a receipt says of a flow: counts, amounts in cents, findings without any value."""
    return {
        "receipt": flow.pk,
        "sender": flow.group.name,
        "member": flow.member.name if flow.member else None,
        "finess": f"{flow.member.finess:09d}" if flow.member else None,
        "channel": flow.channel,
        "file": flow.file_name,
        "received_at": flow.received_at.isoformat(),
        "settled_at": flow.settled_at.isoformat() if flow.settled_at else None,
        "state": flow.state,
        "state_label": flow.get_state_display(),
        "test": flow.test,
        "sealed_sha256": flow.sealed_hash,
        "content_sha256": flow.content_hash,
        "software": flow.software,
        "counts": flow.counts,
        "records": flow.records,
        "invoices": flow.invoices,
        "lines": flow.lines,
        "amount_billed": flow.amount_billed,
        "amount_amo": flow.amount_amo,
        "refused_invoices": flow.refused_invoices,
        "refused_numbers": flow.refused_numbers,
        "repeated_invoices": flow.repeated_invoices,
        "replaced_invoices": flow.replaced_invoices,
        "duplicate_of": flow.duplicate_of_id,
        "findings": flow.findings,
    }


def sign(flow: Flow, place: Place) -> None:
    """Sign the receipt of a settled flow, inside the transaction that settles it."""
    claims = content(flow) | {"iss": read("BELVEDERE_PUBLIC_URL"), "journal": {"position": place.number, "digest": place.digest}}
    flow.receipt = jwt.encode(claims, keyring.receipt_key(), algorithm="EdDSA", headers={"typ": _TYPE, "kid": key_id()})
    flow.save(update_fields=["receipt"])


def public_key() -> ed25519.Ed25519PublicKey:
    """The key that verifies receipts."""
    return keyring.receipt_key().public_key()


def key_id() -> str:
    """A short name of the signing key."""
    raw = public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw[:6].hex()


def jwks() -> dict:
    """The public key as a JSON Web Key set (RFC 7517)."""
    key = json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(public_key()))
    return {"keys": [key | {"kid": key_id(), "use": "sig", "alg": "EdDSA"}]}


def _back_path(flow: Flow) -> Path | None:
    name = (flow.file_name or "flux").lstrip(".") + f".{flow.pk}.accuse.json"
    if flow.channel == "sftp" and flow.sender:
        return vault.sftp_root(flow.sender.client_id) / "accuses" / name
    if flow.channel == "folder" and flow.member:
        return vault.inbox() / f"{flow.member.finess:09d}" / "accuses" / name
    return None


def hand_back(flow: Flow) -> None:
    """Write the receipt as a file where the flow came from; done again after a crash, never twice otherwise."""
    path = _back_path(flow)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")  # two workers may write it at once
        with partial.open("w") as stream:
            stream.write(json.dumps(content(flow) | {"signed": flow.receipt}, ensure_ascii=False, indent=1))
            stream.flush()
            os.fsync(stream.fileno())
        partial.rename(path)
    Flow.objects.filter(pk=flow.pk).update(handed_back=True)
