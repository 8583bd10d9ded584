"""What a release says of its own protection, and the files with which anyone replays it.

Nothing here depends on a hidden value: no count of sensitive cells, no hash of the sealed dossier.
"""

import csv
import io
from functools import cache
from importlib.resources import files

import yaml

from belvedere.engine.indicators.lattice import DIMENSIONS
from belvedere.engine.indicators.lattice import cubes as declared
from belvedere.engine.secrecy.dossier import MASKED, PUBLISHED
from belvedere.observatory.publication import frozen
from belvedere.observatory.publication.computing import lattice_of_release
from belvedere.observatory.publication.models import Release, ReleaseState

LABELS = {
    "territory": "territoire", "product": "produit", "period": "période", "age": "âge", "sex": "sexe", "payer": "régime", "mode": "mode",
}  # fmt: skip
LEVELS = {
    "france": "France", "region": "régions", "department": "départements", "all_products": "tous produits", "family": "familles", "lpp": "codes LPP",
    "year": "douze mois", "month": "mois", "all_ages": "tous âges", "age": "tranches d’âge", "all_sexes": "tous", "sex": "sexes",
    "all_payers": "tous régimes", "payer": "régimes", "all_modes": "tous modes", "mode": "modes",
}  # fmt: skip
CUBES = {
    "series": "Séries mensuelles", "departements": "Départements", "codes": "Codes LPP", "personnes": "Âge et sexe", "payeurs": "Régimes",
    "modes": "Location, achat, service",
}  # fmt: skip


@cache
def attacks() -> list[dict[str, str]]:
    """The attacks that were tried: id, attack, control, state, reason."""
    return list(csv.DictReader((files("belvedere.engine.secrecy") / "attacks.csv").read_text(encoding="utf-8").splitlines()))


def cubes() -> list[tuple[str, str]]:
    """(name, crossing in words) of each declared cube."""
    return [
        (
            CUBES.get(cube.name, cube.name),
            " × ".join(f"{LABELS[d]} ({', '.join(LEVELS[level] for level in levels)})" for d, levels in cube.levels.items()),
        )
        for cube in declared()
    ]


def publication_csv(release: Release) -> bytes:
    """Every declared cell: codes, status (published or masked), and measures once the gate has let it out: what is under
    review carries its mask alone, which is all that the audit reads."""
    cells = frozen.opened(release).cells
    out_of_review = release.state in (ReleaseState.PUBLISHED, ReleaseState.WITHDRAWN)
    measures = next(list(cell) for cell in cells.values() if cell is not None) if out_of_review else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*DIMENSIONS, "status", *measures])
    for key, cell in cells.items():
        writer.writerow([*key, *([MASKED, *[""] * len(measures)] if cell is None else [PUBLISHED, *(cell[name] for name in measures)])])
    return out.getvalue().encode()


def specification_yaml(release: Release) -> bytes:
    """The lattice of a release in the form that `belvedere secrecy audit --spec` reads."""
    lattice = lattice_of_release(release)
    dimensions = {
        d.name: {
            "tree": dict(d.parent), "levels": dict(d.level),
            **({"also": [{"name": h.name, "sums": {total: list(codes) for total, codes in h.sums.items()}} for h in d.also]} if d.also else {}),
        }
        for d in lattice.dimensions
    }  # fmt: skip
    content = {
        "title": f"Publication {release.label}", "dimensions": dimensions,
        "cubes": {cube.name: {name: list(levels) for name, levels in cube.levels.items()} for cube in declared()},
        "contributor": "groupe", "patients": "patients", "measures": {"amount_billed": "amount_billed"},
    }  # fmt: skip
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False).encode()
