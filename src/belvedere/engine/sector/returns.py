"""What a simulated health insurance answers to a provider's month: a NOEMIE file that pays most invoices and rejects some.

The simulator says so in the file's own message zone. Rates are of our making: about 2.5 % of invoices rejected, half of them paid a month later;
the AMO and complementary bodies pay in five to twelve days (a simulator stands for an outside party only)."""

import datetime as dt

import numpy as np

from belvedere.engine.b2.noemie import render
from belvedere.engine.sector.billing import Sector, month_lines

MESSAGE = "SIMULATEUR BELVEDERE"
REJECTED, REPAIRED = 0.025, 0.5
CAUSES = (
    ("D101", "DROITS DE L ASSURE FERMES A LA DATE DES SOINS", 5), ("P204", "ENTENTE PREALABLE ABSENTE OU EXPIREE", 3), ("A310", "CODE LPP NON PRIS EN CHARGE A CETTE DATE", 2),
    ("T115", "PRESTATION DEJA PRISE EN CHARGE SUR LA PERIODE", 2), ("B007", "BENEFICIAIRE INCONNU DE L ORGANISME", 1),
)  # fmt: skip
LOT = 20  # invoices


def month_return(sector: Sector, provider: int, rank: int) -> bytes:
    """The answer to a provider's month `rank`, with the rejects of the month before that it sent again; b"" when it billed nothing."""
    now = _answers(sector, provider, rank)
    again = [answer | {"state": "P"} for answer in (_answers(sector, provider, rank - 1) if rank else []) if answer["repaired"]]
    if not now:
        return b""
    who, sent = sector.providers[provider], sector.month(rank + 1) + dt.timedelta(days=4)
    items: list[tuple[str, str, dict[str, str | int]]] = [("040", "02", {"payee_no": f"{who.finess:09d}"})]
    for delay in sorted({answer["delay"] for answer in (*now, *again)}):
        items.append(("070", "03", {"accounting_date": f"{sent + dt.timedelta(days=delay):%y%m%d}"}))
        for answer in (*now, *again):
            if answer["delay"] == delay:
                items += _invoice(answer, sent)
    header = {
        "reference": "576", "created": f"{sent + dt.timedelta(days=30):%y%m%d}", "sender_type": "CT", "sender_no": "0000001594", "dest_type": "TP",
        "dest_no": f"{who.finess:09d}", "message": MESSAGE, "flow": "R",
    }  # fmt: skip
    return render(items, blocked=True, header=header)


def _answers(sector: Sector, provider: int, rank: int) -> list[dict]:
    """What becomes of each invoice of a month: the same whenever it is asked."""
    lines = month_lines(sector, provider, rank)
    if not len(lines["invoice"]):
        return []
    count = int(lines["invoice"].max()) + 1
    amo, amc = (np.bincount(lines["invoice"], weights=lines[name], minlength=count).astype(np.int64) for name in ("amo", "amc"))
    rng = np.random.default_rng([sector.seed, 11, provider, rank])
    rejected, repaired = rng.random(count) < REJECTED, rng.random(count) < REPAIRED
    weights = np.array([weight for *_, weight in CAUSES], dtype=float)
    cause, delay = rng.choice(len(CAUSES), count, p=weights / weights.sum()), rng.integers(5, 13, count)
    first = (sector.first.year * 12 + rank) % 1000 * 100_000 + 1
    return [
        {
            "number": first + place, "lot": (rank * 16 + place // LOT) % 999 + 1, "amo": int(amo[place]), "amc": int(amc[place]), "cause": int(cause[place]),
            "delay": int(delay[place]), "state": "R" if rejected[place] else "P", "repaired": bool(rejected[place] and repaired[place]),
        }
        for place in range(count)
    ]  # fmt: skip


def _invoice(answer: dict, sent: dt.date) -> list[tuple[str, str, dict[str, str | int]]]:
    paid, day = answer["state"] == "P", f"{sent:%y%m%d}"
    rows: list[tuple[str, str, dict[str, str | int]]] = [
        ("102", "05", {"invoice_no": answer["number"], "lot_no": answer["lot"], "lot_date": day, "billing_date": day, "kind": "B"}),
        ("198", "06", {"asked": answer["amo"], "state": answer["state"], "paid": answer["amo"] if paid else 0, "sign": "P"}),
    ]
    if answer["amc"]:
        rows.append(("199", "06", {"asked": answer["amc"], "state": answer["state"], "paid": answer["amc"] if paid else 0, "sign": "P"}))
    if not paid:
        code, label, _ = CAUSES[answer["cause"]]
        rows.append(("294", "06", {"code": code, "label": label, "level": "F", "share": "O"}))
    return rows
