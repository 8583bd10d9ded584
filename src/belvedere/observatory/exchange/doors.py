"""The doors other than FHIR: a CDA document, an XDM archive, the monthly file; each is read as the transaction that it would have been."""

from belvedere.engine.exchange import cda, strict
from belvedere.engine.exchange.rules import Remark
from belvedere.engine.exchange.seda import PackageRefused
from belvedere.observatory.exchange import monthly


class DoorRefused(Exception):
    """The file cannot be read; says why, in French."""


# Each line of the monthly file is many resources: what bounds a transaction of the guide does not bound a service's month.
MOST_ENTRIES = {"csv": monthly.MOST_RESOURCES}


def _of_lines(raw: bytes) -> bytes:
    """A transaction of resources given one a line (ndjson); anything else as it is."""
    lines = [line for line in raw.splitlines() if line.strip()]
    if len(lines) < 2 or not all(line.lstrip().startswith(b"{") and line.rstrip().endswith(b"}") for line in lines):
        return raw
    try:
        rows = [strict.parse(line) for line in lines]
    except strict.Malformed:
        return raw  # the rules say what is wrong with it
    entries = [
        {"fullUrl": f"{row['resourceType']}/{row.get('id', f'ligne-{rank}')}", "resource": row, "request": {"method": "POST", "url": row["resourceType"]}}
        for rank, row in enumerate(rows) if isinstance(row.get("resourceType"), str)
    ]  # fmt: skip
    if len(entries) < len(rows):
        return raw
    name = {"system": "urn:belvedere:ndjson", "value": f"ndjson-{strict.digest(raw)[:24]}"}
    return strict.canonical({"resourceType": "Bundle", "type": "transaction", "identifier": name, "entry": entries})


def unread(original: bytes, channel: str) -> list[Remark]:
    """What of an upload is in no resource of its transaction."""
    return [Remark("tddui-cda-01", "ClinicalDocument", code[:40]) for code in cda.unread(original)] if channel == "cda" and original else []


def transaction_of(raw: bytes, finess: str) -> tuple[bytes, str]:
    """(transaction, channel) of an upload: FHIR as it is, CDA or XDM, else the monthly file. DoorRefused."""
    if raw.lstrip()[:1] in (b"{", b"["):
        return _of_lines(raw), "fhir"
    try:
        if cda.is_cda(raw):
            return cda.to_bundle(raw), "cda"
        return monthly.to_bundle(raw, finess), "csv"
    except (monthly.FileRefused, PackageRefused) as error:
        raise DoorRefused(str(error)) from error
