"""The registries of the demonstration's made-up vendors, consultations that some of its providers really make, and the study of what it received."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from belvedere.engine.sector.billing import Sector
from belvedere.engine.sector.providers import VENDORS
from belvedere.engine.services.rights import Question
from belvedere.engine.services.world import AGENT, make
from belvedere.observatory.services import consulting
from belvedere.observatory.services.adapters import Outside
from belvedere.observatory.services.serving import running
from belvedere.observatory.study import issues, registries
from belvedere.observatory.study.models import Issue

NAMES = tuple(text.rsplit(" ", 1)[0] for text in VENDORS)
OWN_CRYPTO = NAMES[:2]  # those whose software encrypts by itself
CRYPTO = "SCELLO"
REGIMES = {
    "01": 61_000_000,
    "02": 3_200_000,
    "03": 900_000,
    "04": 480_000,
    "05": 36_000,
    "06": 500_000,
    "07": 100_000,
    "10": 60_000,
    "12": 130_000,
    "90": 22_000,
}
CALLERS, ASKED = 6, 12


def crypto_of(vendor: str) -> str:
    """The header that a vendor's flows bear."""
    name = vendor.rsplit(" ", 1)[0]
    return f"001#{name}#1#A#2" if name in OWN_CRYPTO else f"001#{CRYPTO}#3.0#A#2" if vendor else ""


def _rows(sector: Sector, last: dt.date) -> dict[str, list[dict[str, Any]]]:
    first = "2020-01-01"
    merged = f"{sector.month(max(sector.months - 6, 0)):%Y-%m-%d}"
    services = {"FACTURATION": NAMES, "TRANSPORT": NAMES[:4], "CDRI": NAMES[:3], "SCOR": NAMES[:2], "ROC": NAMES[:1], "DMP": NAMES[1:4]}
    sites = [f"{one.finess:09d}" for one in sector.providers]
    return {
        "editeurs": [{"editeur": name} for name in (*NAMES, CRYPTO, "DOMISOFT GROUPE")],
        "alias": [{"alias": text, "editeur": name} for text, name in zip(VENDORS, NAMES, strict=True)],
        "fusions": [{"editeur": NAMES[-1], "devient": "DOMISOFT GROUPE", "le": merged}],
        "produits": [{"id": f"{name} 1", "editeur": name, "type": "CHIFFREMENT", "nom": "Chiffrement intégré"} for name in OWN_CRYPTO] + [{"id": f"{CRYPTO} 3.0", "editeur": CRYPTO, "type": "CHIFFREMENT", "nom": "Scello"}],
        "integrations": [{"editeur": name, "service": service, "certifie": "1" if rank < 2 else "0", "du": first, "source": "registre de démonstration"} for service, names in services.items() for rank, name in enumerate(names)]
        + [{"editeur": "CARTEO", "service": "CDRI", "certifie": "0", "du": first, "source": "registre de démonstration"}],
        "cibles": [{"service": "TRANSPORT", "finess_geo": site, "du": first} for site in sites] + [{"service": "CDRI", "finess_geo": site, "du": first} for site in sites[::2]]
        + [{"service": "SCOR", "finess_geo": site, "du": first} for site in sites[::3]],
        "regimes": [{"code": code, "effectif_assures": str(count)} for code, count in REGIMES.items()],
        "evenements": [{"le": merged, "titre": f"{NAMES[-1]} rejoint DOMISOFT GROUPE", "source": "événement inventé pour la démonstration"}],
    }  # fmt: skip


def _consult(sites: Sequence[tuple[int, str]], day: dt.date) -> None:
    """A few providers consult rights, for real, of people who do not exist."""
    world = make(CALLERS * ASKED, day, seed=11)
    with running(world, now=lambda: dt.datetime.now(dt.UTC)) as live:
        for rank, (finess, software) in enumerate(sites):
            outside = Outside(live.base, software)
            people = world.known[rank * ASKED : (rank + 1) * ASKED]
            asked = [Question(f"{finess:09d}", AGENT, one.nir, day, one.key, one.born, one.rank) for one in people]
            consulting.run(
                consulting.open_lot(site=f"{finess:09d}", given="demonstration", asked=asked, by="démonstration"), outside, by="démonstration"
            )
            outside.close()


def build(sector: Sector, by: str) -> Issue:
    """Fill the registries, make the consultations, freeze the study of the last twelve months received."""
    today = dt.date.today()
    for table, rows in _rows(sector, today).items():
        registries.fill(table=table, rows=rows, by=by)
    chosen = [one for one in sector.providers[::2] if one.vendor][:CALLERS]
    _consult([(one.finess, one.vendor) for one in chosen], today)
    return issues.publish(by=by)
