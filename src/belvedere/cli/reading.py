"""`belvedere b2 show`, `convert` and `noemie`: what a file says, in words and in tables."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from belvedere.cli.french import EXIT_OK, EXIT_REFUSED, EXIT_REMARKS
from belvedere.engine.b2 import columns
from belvedere.engine.b2 import noemie as returns
from belvedere.engine.b2.findings import B2Error
from belvedere.engine.b2.framing import Framer
from belvedere.engine.b2.lines import SOURCES
from belvedere.engine.b2.records import KINDS
from belvedere.engine.warehouse.facts import to_days

# Zones that name a person: shown only when asked for.
PERSONAL = {"nir", "nir_key", "birth_date", "birth_rank", "individual_nir", "individual_nir_key", "beneficiary_name", "first_name", "insured_name",
            "insured_first_name", "member_no", "street_no", "street_name", "address_extra", "amc_member_id", "mt_name", "mt_first_name"}  # fmt: skip
STATES = {"P": "payée", "R": "rejetée", "D": "différée"}


def _refused(error: B2Error) -> int:
    found = error.finding
    where = f"enregistrement {found.record} : " if found.record else ""
    print(f"{found.code} {where}{found.message}\n      → {found.remedy}", file=sys.stderr)
    return EXIT_REFUSED


def show(chunks: Iterator[bytes], first: int, count: int, identities: bool) -> int:
    """Print records `first` (1-based) and following, zone by zone."""
    framer = Framer()
    shown = 0
    try:
        for batch in framer.batches(chunks):
            for row in range(max(0, first - 1 - batch.start), len(batch)):
                if shown == count:
                    return EXIT_OK
                kind = KINDS[batch.kind[row]]
                print(f"— enregistrement {batch.start + row + 1} · type {kind}")
                if kind == "?":
                    print("  type inconnu")
                else:
                    for zone, text, spoken in columns.words(batch.view[row], batch.layout(kind)):
                        hidden = zone.name in PERSONAL and not identities
                        print(f"  {zone.start:>3}-{zone.end:<3} {zone.name:<24} {'•' * 8 if hidden else text!r:<28} {'' if hidden else spoken}")
                shown += 1
    except B2Error as error:
        return _refused(error)
    except BrokenPipeError:
        return EXIT_OK
    if not shown:
        print(f"Le fichier compte {framer.records} enregistrements.", file=sys.stderr)
        return EXIT_REFUSED
    return EXIT_OK


def convert(chunks: Iterator[bytes], folder: Path, form: str) -> int:
    """Write one table per record type into a folder."""
    framer = Framer()
    try:
        rows = columns.convert(framer.batches(chunks), folder, form)
    except B2Error as error:
        return _refused(error)
    for kind, number in sorted(rows.items()):
        print(f"{folder / kind}.{form} : {number} lignes")
    print("Ces tableaux portent des identités en clair : gardez-les où vous gardez vos fichiers B2.", file=sys.stderr)
    return EXIT_OK


def invoices_of(data: bytes) -> pa.Table:
    """invoice_no, invoice_date and amount_amo of a clear B2 file; B2Error."""
    parts = []
    for batch in Framer().batches([data]):
        source = SOURCES[batch.family]
        amo = np.zeros(len(batch.rows("2")), dtype=np.int64)
        owner = np.searchsorted(batch.rows("2"), batch.rows(source.base)) - 1
        np.add.at(amo, owner, batch.number(source.base, "amount_amo"))
        day = to_days(batch.number("2", source.invoice["invoice_date"]))
        parts.append(pa.table({"invoice_no": batch.number("2", "invoice_no"), "invoice_date": pa.array(day), "amount_amo": amo}))
    return pa.concat_tables(parts)


def noemie(data: bytes, files: list[bytes], as_json: bool) -> int:
    """Tell what became of each invoice of a return."""
    try:
        found = returns.returns(data)
        known = pa.concat_tables([invoices_of(item) for item in files]) if files else None
    except B2Error as error:
        if as_json:
            print(json.dumps({"read": False, "findings": [error.finding.as_dict()]}, ensure_ascii=False))
            return EXIT_REFUSED
        return _refused(error)
    payments = returns.table(found)
    if known is not None:
        payments = returns.match(payments, known)
    rows = payments.to_pylist()
    causes = Counter((row["code"], row["label"]) for row in rows if row["code"])
    delays = [row["delay"] for row in rows if row.get("delay") is not None]
    summary = {
        "read": True, "reference": found.reference, "entities": dict(sorted(found.counts.items())), "invoices": len(rows),
        "states": dict(Counter(row["state"] for row in rows)), "asked_amo": sum(row["asked_amo"] for row in rows),
        "paid_amo": sum(row["paid_amo"] for row in rows),
        "rejects": [{"code": code, "label": label, "count": count} for (code, label), count in causes.most_common()],
        "unmatched": sum(not row["known"] for row in rows) if known is not None else None,
        "mean_delay_days": round(sum(delays) / len(delays), 1) if delays else None,
        "findings": [item.as_dict() for item in found.findings],
    }  # fmt: skip
    if as_json:
        print(json.dumps(summary | {"payments": rows}, ensure_ascii=False, default=str))
    else:
        _tell(summary)
    return EXIT_REMARKS if found.findings else EXIT_OK


def _tell(summary: dict) -> None:
    states = ", ".join(f"{count} {STATES.get(state, state)}{'s' if count > 1 else ''}" for state, count in summary["states"].items())
    print(f"Retour NOEMIE {summary['reference']} : {summary['invoices']} factures ({states}).")
    euros = lambda cents: f"{cents / 100:,.2f} €".replace(",", "\u202f").replace(".", ",")  # noqa: E731
    print(f"AMO demandé {euros(summary['asked_amo'])}, payé {euros(summary['paid_amo'])}.")
    if summary["mean_delay_days"] is not None:
        print(f"Délai moyen de la facture au paiement : {str(summary['mean_delay_days']).replace('.', ',')} jours.")
    if summary["unmatched"]:
        print(f"{summary['unmatched']} factures du retour ne sont pas dans les fichiers B2 donnés.")
    for item in summary["rejects"]:
        print(f"  {item['code']:<10} {item['count']:>5}  {item['label']}")
    for item in summary["findings"]:
        print(f"{item['code']} {item['message']} → {item['remedy']}")
