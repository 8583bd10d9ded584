"""What the tools of `belvedere b2` do."""

import argparse
import datetime as dt
import json
import secrets
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from belvedere.cli import reading
from belvedere.cli.b2 import first_month
from belvedere.cli.french import EXIT_OK, EXIT_REFUSED, EXIT_REMARKS
from belvedere.engine.b2.findings import B2Error, Finding
from belvedere.engine.b2.layouts import all_layouts
from belvedere.engine.b2.layouts import layout as layout_of
from belvedere.engine.b2.unwrap import gunzipped
from belvedere.engine.nomenclature import lpp_reference
from belvedere.engine.privacy.pseudonyms import PseudonymKeys
from belvedere.engine.sector.billing import make_sector, month_file
from belvedere.engine.warehouse.intake import Examined, examine


def generate(options: argparse.Namespace) -> int:
    """Write the files of a synthetic sector."""
    first = dt.date.fromisoformat(options.first + "-01") if options.first else first_month(dt.date.today(), options.months)
    sector = make_sector(
        seed=options.seed, first=first, providers=options.providers, groups=options.groups, months=options.months, patients=options.patients
    )
    options.out.mkdir(parents=True, exist_ok=True)
    providers = range(options.providers) if options.provider is None else [options.provider]
    months = range(options.months) if options.month is None else [options.month]
    count = size = 0
    for month in months:
        for rank in providers:
            content = month_file(sector, rank, month)
            if content:
                path = options.out / f"{sector.providers[rank].finess}-{sector.month(month):%Y-%m}.b2"
                path.write_bytes(content)
                count, size = count + 1, size + len(content)
    print(f"{count} fichiers, {size / 1e6:.1f} Mo dans {options.out}")
    return EXIT_OK


def pieces(path: Path) -> Iterator[bytes]:
    """A clear file, gzipped or not, by pieces."""

    def read() -> Iterator[bytes]:
        with path.open("rb") as stream:
            while piece := stream.read(1024 * 1024):
                yield piece

    return gunzipped(read())


def check_chunks(chunks: Iterable[bytes], policy: str = "whole", reference: lpp_reference.LppReference | None = None) -> Examined:
    """What the observatory would say of a clear file. Pseudonyms are made with keys that are forgotten at once."""
    keys = PseudonymKeys(secrets.token_bytes(32), secrets.token_bytes(32))
    return examine(chunks, keys=keys, policy=policy, reference=reference or lpp_reference.shipped())


def check_bytes(content: bytes) -> tuple[dict[str, int], list[Finding]]:
    """(number of records by type, findings) of a clear B2 file."""
    found = check_chunks([content])
    return dict(sorted(found.counts.items())), found.findings


def check(options: argparse.Namespace) -> int:
    """Say what the observatory would say of a file; 0, 1 or 2."""
    try:
        found = check_chunks(pieces(options.file), options.policy)
    except B2Error as error:
        found = Examined(findings=[error.finding], refused=True)
    if options.json:
        json.dump({
            "accepted": not found.refused, "counts": dict(sorted(found.counts.items())), "invoices": found.invoices, "lines": found.lines,
            "amount_billed": found.amount_billed, "amount_amo": found.amount_amo, "refused_invoices": found.refused_invoices,
            "findings": [item.as_dict() for item in found.findings],
        }, sys.stdout, ensure_ascii=False)  # fmt: skip
        print()
    else:
        for item in found.findings:
            where = f"enregistrement {item.record}" if item.record else "fichier"
            where += f", position {item.position}" if item.position else ""
            print(f"{item.code} [{'refus' if item.severity == 'error' else 'remarque'}] {where} : {item.message}\n      → {item.remedy}")
        print(("Refusé" if found.refused else "Accepté") + f", {found.records} enregistrements, {len(found.findings)} anomalie(s).")
    return EXIT_REFUSED if found.refused else EXIT_REMARKS if found.findings else EXIT_OK


def layout(options: argparse.Namespace) -> int:
    """Print the zones of a record type."""
    key = (options.record.upper(), options.family)
    if key not in all_layouts():
        known = ", ".join(sorted({record for record, family in all_layouts() if family == options.family}))
        print(f"Type inconnu en famille {options.family}. Types connus : {known}.", file=sys.stderr)
        return EXIT_REFUSED
    for zone in layout_of(*key).zones:
        print(f"{zone.start:>3}-{zone.end:<3} {zone.type} {zone.presence} {zone.name:<22} {zone.constant or zone.note}")
    return EXIT_OK


def show(options: argparse.Namespace) -> int:
    """Print records in words."""
    return reading.show(pieces(options.file), options.record or 1, 1 if options.record and options.count == 8 else options.count, options.identities)


def convert(options: argparse.Namespace) -> int:
    """Write a table per record type."""
    return reading.convert(pieces(options.file), options.out or options.file.with_suffix(""), options.to)


def noemie(options: argparse.Namespace) -> int:
    """Read a return and match it to invoices."""
    return reading.noemie(b"".join(pieces(options.file)), [b"".join(pieces(path)) for path in options.b2], options.json)
