"""`belvedere secrecy`: protect a table, audit a protected one, or one that was protected elsewhere."""

import argparse
import json
import sys
import time
from pathlib import Path

from belvedere.cli.french import EXIT_FAILURE, EXIT_OK, EXIT_REFUSED, Parser


def register(commands: argparse._SubParsersAction) -> None:
    top = commands.add_parser("secrecy", help="protège une table, rejoue les audits d’une table protégée")
    tools = top.add_subparsers(title="actions", required=True, metavar="ACTION", parser_class=Parser)
    protect = tools.add_parser("protect", help="masque ce qui doit l’être dans une table de contributions, et le prouve")
    protect.add_argument("table", type=Path, metavar="TABLE", help="CSV ou Parquet, une ligne par contributeur et cellule fine")
    protect.add_argument("--spec", type=Path, required=True, metavar="SPEC.yaml", help="dimensions, contributeurs, mesures, règles")
    protect.add_argument("--out", type=Path, required=True, metavar="DOSSIER", help="dossier neuf où écrire la publication et le dossier scellé")
    protect.add_argument("--fast", action="store_true", help="sans les certificats d’intervalle")
    protect.add_argument("--json", action="store_true", help="le rapport en JSON")
    protect.set_defaults(run=_protect)
    audit = tools.add_parser("audit", help="rejoue tous les audits ; code 2 et la liste des fuites s’il y en a")
    audit.add_argument("target", type=Path, metavar="DOSSIER|TABLE", help="dossier écrit par protect, ou table de cellules avec leur statut")
    audit.add_argument("--spec", type=Path, metavar="SPEC.yaml", help="pour une table masquée ailleurs")
    audit.add_argument("--status", default="status", metavar="COLONNE", help="colonne du statut : published, primary, secondary")
    audit.add_argument("--contributions", type=Path, metavar="TABLE", help="contributions, pour essayer aussi chaque groupe et les sommes")
    audit.add_argument("--json", action="store_true", help="les fuites en JSON")
    audit.set_defaults(run=_audit)


def _protect(options: argparse.Namespace) -> int:
    from belvedere.engine.secrecy import contributions, dossier, report, specification
    from belvedere.engine.secrecy.errors import SecrecyError
    from belvedere.engine.secrecy.protect import protect

    started = time.monotonic()
    try:
        spec = specification.read(options.spec)
        filled = contributions.fill(spec, contributions.read_rows(options.table))
        done = protect(
            filled.table, spec.parameters, seed=spec.seed, certified=not options.fast,
            say=lambda words: print(f"  {words}", file=sys.stderr, flush=True),
        )  # fmt: skip
        figures = report.figures(spec, filled, done, time.monotonic() - started)
        if done.leaks:
            print("\n".join(done.leaks), file=sys.stderr)
            print("Rien n’a été écrit : ces fuites ne se ferment pas avec ces règles et ces totaux connus.", file=sys.stderr)
            return EXIT_REFUSED
        words = report.words(figures)
        dossier.write(options.out, spec, filled, done, figures, words)
    except SecrecyError as error:
        print(error, file=sys.stderr)
        return EXIT_REFUSED
    print(json.dumps(figures, ensure_ascii=False) if options.json else words)
    return EXIT_OK


def _audit(options: argparse.Namespace) -> int:
    from belvedere.engine.secrecy import dossier
    from belvedere.engine.secrecy.errors import SecrecyError

    try:
        if options.target.is_dir():
            found = dossier.replay(options.target)
        elif options.spec is None:
            print("Une table masquée ailleurs demande --spec SPEC.yaml.", file=sys.stderr)
            return EXIT_FAILURE
        else:
            found = dossier.elsewhere(options.target, options.spec, options.status, options.contributions)
    except SecrecyError as error:
        print(error, file=sys.stderr)
        return EXIT_REFUSED
    if options.json:
        print(json.dumps({"leaks": found}, ensure_ascii=False))
    else:
        print("\n".join([*found, f"{len(found)} fuite{'s' * (len(found) > 1)}."]) if found else "Aucune fuite.")
    return EXIT_REFUSED if found else EXIT_OK
