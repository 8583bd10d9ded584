"""`belvedere study`: the market study of a period, from a file of metadata or from the flows that were received."""

import argparse
import datetime as dt
import json
import sys
from pathlib import Path

from belvedere.cli.french import EXIT_OK, EXIT_REFUSED

CSS = Path(__file__).resolve().parents[1] / "portal" / "static" / "portal" / "belvedere.css"


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("study", help="étude de marché des logiciels de facturation")
    top.add_argument("--period", required=True, metavar="AAAA-MM..AAAA-MM", help="mois de l’étude, douze au plus ; l’année d’avant sert à comparer")
    top.add_argument(
        "--from", dest="source", type=Path, default=None, help="fichier de flux (CSV, Parquet) ou dossier de tables ; sinon les flux reçus"
    )
    top.add_argument("--out", type=Path, default=None, help="dossier où écrire index.html, etude.pdf, etude.xlsx et tables/*.csv")
    top.add_argument("--tier", default="public", help="public (défaut), gouvernance (avec --from seulement), ou le nom d’un éditeur")
    top.add_argument("--json", action="store_true", help="les tables en JSON sur la sortie")
    top.add_argument("--data", default=None, help="dossier des données (défaut : BELVEDERE_DATA)")
    top.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from belvedere.cli import use_data
    from belvedere.engine.study import inputs, market, tiers
    from belvedere.engine.study.errors import StudyError

    use_data(options.data)
    try:
        period = market.Period.of(options.period)
        session = inputs.connect()
        if options.source:
            inputs.load(session, options.source)
        else:
            from belvedere.observatory.study import loading

            loading.fill(session)
        study = market.study(session, period)
        told = tiers.tell(study, options.tier, entrusted=options.source is None)
    except StudyError as error:
        print(f"belvedere : {error}", file=sys.stderr)
        return EXIT_REFUSED
    if options.out:
        _write(study, told, options)
    if options.json:
        tables = {one.definition.code: [dict(zip([column.name for column in one.columns], row, strict=True)) for row in one.rows] for one in told}
        print(
            json.dumps({"period": str(study.period), "version": study.version, "rows": study.rows, "tables": tables}, ensure_ascii=False, default=str)
        )
    elif not options.out:
        _print(study, told)
    return EXIT_OK


def _write(study, told, options: argparse.Namespace) -> None:
    from django.template.loader import render_to_string

    from belvedere.portal.study import annex
    from belvedere.portal.study.document import document

    made = document(study, told, options.tier)
    folder: Path = options.out
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(
        render_to_string("study/standalone.html", {"document": made, "style": CSS.read_text(encoding="utf-8")}), encoding="utf-8"
    )
    (folder / "etude.pdf").write_bytes(annex.pdf(made, dt.date.today()))
    (folder / "etude.xlsx").write_bytes(annex.workbook(study, told, made))
    (folder / "manifest.json").write_bytes(annex.manifest(study, told, options.tier))
    for one in told:
        (folder / "tables" / f"{one.definition.code}.csv").write_bytes(annex.table_csv(one))
    print(f"{len(made.sections)} tables écrites dans {folder} (index.html, etude.pdf, etude.xlsx, tables/).", file=sys.stderr)


def _print(study, told) -> None:
    """The headlines on a terminal: what the first page of the study says."""
    from belvedere.portal.study.document import document

    made = document(study, told, "public")
    print(f"{made.title}, {made.period} (comparée à {made.before}), {made.rows} lignes, données {made.version}\n")
    for one in made.sections[:4]:
        print(f"{one.code} · {one.title}")
        widths = [max(len(label), *(len(row[at][0]) for row in one.rows)) for at, (label, _) in enumerate(one.header)]
        for row in ([label for label, _ in one.header], *([cell for cell, _ in row] for row in one.rows)):
            print(
                "  "
                + "  ".join(cell.rjust(width) if kind else cell.ljust(width) for cell, width, (_, kind) in zip(row, widths, one.header, strict=True))
            )
        print()
    print(f"{len(made.sections)} tables en tout : --out DOSSIER les écrit, --json les donne.")
