"""A small market with everything a study reads: two years, aliases, a merger, targets, calls, rejects."""

import csv
import datetime as dt
import itertools
from pathlib import Path

from belvedere.engine.study import inputs, market

PERIOD = market.Period.of("2026-01..2026-03")
MONTHS = [dt.date(2025, month, 1) for month in (1, 2, 3)] + [dt.date(2026, month, 1) for month in (1, 2, 3)]
# Site, category, its vendor as written the year before and this year, invoices a month, months it emits (None: all).
SITES = [
    ("S01", "EPS", "ALPHA", "ALPHA", 900), ("S02", "EPS", "ALPHA SAS", "ALPHA SAS", 700), ("S03", "EPS", "BETA", "ALPHA", 500), ("S04", "ESPIC", "BETA", "BETA", 400),
    ("S05", "ESPIC", "GAMMA", "GAMMA", 300), ("S06", "CP", "GAMMA", "GAMMA", 800), ("S07", "CP", "DELTA", "DELTA", 600), ("S08", "CP", "", "", 200),
    ("S09", "CP", "DELTA", None, 100), ("S10", "EPS", None, "BETA", 150), ("S11", "HIA", "EPSILON", "EPSILON", 50), ("S12", "CP", "DELTA", "DELTA", 450),
]  # fmt: skip
TABLES: dict[str, tuple[list[str], list[tuple]]] = {
    "editeurs": (["editeur"], [("ALPHA",), ("BETA",), ("GAMMA",), ("DELTA",), ("EPSILON",), ("CRYPTO+",)]),
    "alias": (["alias", "editeur", "du", "au"], [("ALPHA SAS", "ALPHA", "", ""), ("AGREE-1", "ALPHA", "", "2025-02-01")]),
    "fusions": (["editeur", "devient", "le"], [("GAMMA", "DELTA", "2026-02-01")]),
    "produits": (["id", "editeur", "type", "nom"], [("AG-BETA", "BETA", "GAP", "Beta 3"), ("X1", "CRYPTO+", "CHIFFREMENT", "Coffre"), ("X2", "ALPHA", "CHIFFREMENT", "Scellé")]),
    "integrations": (["editeur", "service", "certifie", "du", "au"], [
        ("ALPHA", "FACTURATION", 1, "", ""), ("ALPHA", "TRANSPORT", 1, "", ""), ("ALPHA", "CDRI", 1, "", ""), ("BETA", "FACTURATION", 1, "", ""), ("GAMMA", "FACTURATION", 0, "", ""),
        ("OMEGA", "CDRI", 0, "", ""), ("BETA", "CDRI", 1, "2025-01-01", "2025-06-01"),
    ]),
    "cibles": (["service", "finess_geo", "du", "au"], [("CDRI", f"S{rank:02d}", "", "") for rank in range(1, 6)] + [("CDRI", "S99", "2020-01-01", "2021-01-01"), ("FIDES", "S01", "", ""), ("FIDES", "S02", "", "")]),
    "appels": (["service", "mois", "finess_geo", "idam", "regime", "resultat", "nb", "duree_p50", "duree_p95"], [
        ("CDRI", "2026-03-01", site, "AG", regime, result, count, 200, 900)
        for site, regime, result, count in (("S01", "01", "00", 90), ("S02", "01", "00", 50), ("S03", "02", "00", 40), ("S03", "03", "20", 20))
    ]),
    "rejets": (["mois", "finess_geo", "texte_editeur", "cause", "libelle", "nb"], [("2026-01-01", "S01", "ALPHA", "D101", "DROITS FERMES", 30), ("2026-01-01", "S06", "GAMMA", "D101", "DROITS FERMES", 5), ("2026-01-01", "S06", "GAMMA", "P204", "ENTENTE", 15)]),
    "etablissements": (["finess_geo", "finess_ej", "categorie", "ght", "departement", "du", "au", "successeur"], [
        ("S01", "J1", "EPS", "GHT 1", "75", "", "", ""), ("S02", "J1", "EPS", "GHT 1", "75", "", "", ""), ("S03", "J2", "EPS", "GHT 1", "75", "", "", ""), ("S04", "J3", "ESPIC", "GHT 2", "69", "", "", ""),
        ("S09", "J4", "CP", "", "69", "", "2025-12-31", "S12"), ("S10", "J5", "EPS", "GHT 2", "69", "2025-10-01", "", ""),
    ]),
    "regimes": (["code", "effectif_assures"], [("01", 900), ("02", 60), ("03", 40)]),
    "evenements": (["le", "titre", "source"], [("2026-02-01", "GAMMA rejoint DELTA", "communiqué")]),
}  # fmt: skip


def flows() -> list[dict[str, object]]:
    """Rows of the flows: BETA signs by its agreement number alone, one site has two vendors, tests are marked."""
    rows = []
    for month, (site, category, before, after, invoices) in itertools.product(MONTHS, SITES):
        vendor = before if month.year == 2025 else after
        if vendor is None:
            continue
        by_number = vendor == "BETA"
        rows.append({
            "finess_geo": site, "mois": month.isoformat(), "categorie": category, "id_logiciel_fact": "AG-BETA" if by_number else "", "texte_editeur": "" if by_number else vendor,
            "id_logiciel_chiff": "X1" if site in ("S01", "S06", "S07") else "X2" if site == "S02" else "", "algo": "3DES" if site == "S07" else "AES" if site < "S08" else "",
            "nb_factures": invoices, "nb_rejets": invoices // 50 if site != "S08" else "", "dispositif": "FIDES_ACE" if site == "S01" else "CP" if category == "CP" else "AUTRE", "reel": 1,
        })  # fmt: skip
    rows.append(rows[-1] | {"finess_geo": "S01", "texte_editeur": "EPSILON", "categorie": "EPS", "nb_factures": 10, "dispositif": "AUTRE"})
    rows.append(rows[-1] | {"finess_geo": "S77", "texte_editeur": "ESSAI", "nb_factures": 9_999, "reel": 0})
    return rows


def write(folder: Path, *, without: tuple[str, ...] = (), changed: list[dict[str, object]] | None = None) -> Path:
    """The market as a folder of CSV tables."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = changed if changed is not None else flows()
    with (folder / "flux.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for name, (header, values) in TABLES.items():
        if name not in without:
            with (folder / f"{name}.csv").open("w", newline="") as stream:
                csv.writer(stream, delimiter=";").writerows([header, *values])
    return folder


def study(folder: Path, period: market.Period = PERIOD, *, today: dt.date = dt.date(2026, 4, 1), **options) -> market.Study:
    """The study of the market of a folder."""
    session = inputs.connect()
    inputs.load(session, write(folder, **options))
    return market.study(session, period, today=today)
