"""The doors other than FHIR: a CDA document, an XDM archive, the monthly file; each is read as the transaction that it would have been."""

from belvedere.engine.exchange import cda
from belvedere.engine.exchange.seda import PackageRefused
from belvedere.observatory.exchange import monthly


class DoorRefused(Exception):
    """The file cannot be read; says why, in French."""


# Each line of the monthly file is many resources: what bounds a transaction of the guide does not bound a service's month.
MOST_ENTRIES = {"csv": 20_000}


def transaction_of(raw: bytes, finess: str) -> tuple[bytes, str]:
    """(transaction, channel) of an upload: FHIR as it is, CDA or XDM, else the monthly file. DoorRefused."""
    if raw.lstrip()[:1] in (b"{", b"["):
        return raw, "fhir"
    try:
        if cda.is_cda(raw):
            return cda.to_bundle(raw), "cda"
        return monthly.to_bundle(raw, finess), "csv"
    except (monthly.FileRefused, PackageRefused) as error:
        raise DoorRefused(str(error)) from error
