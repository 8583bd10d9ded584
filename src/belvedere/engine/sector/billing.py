"""The billing of a synthetic sector: lines of a provider's month, and the B2 file that carries them."""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from belvedere.engine.b2.writer import Invoices, Sender, Values, write_file
from belvedere.engine.nomenclature.products import products, tariff
from belvedere.engine.sector.population import Population, make_population
from belvedere.engine.sector.providers import VENDORS, Provider, make_providers

SUPPLY = {code: ord(product.supply_type) for code, product in products().items()}


@dataclass
class Sector:
    """A seeded sector. Month 0 is `first` (a first of month); files are made on demand, provider by provider."""

    seed: int
    first: dt.date
    months: int
    providers: list[Provider]
    population: Population
    _bounds: np.ndarray

    def month(self, rank: int) -> dt.date:
        """First day of month `rank` of the window (ranks past the end are allowed: the future of the demo)."""
        year, month = divmod(self.first.year * 12 + self.first.month - 1 + rank, 12)
        return dt.date(year, month + 1, 1)


def make_sector(
    *, seed: int, first: dt.date, providers: int = 80, groups: int = 60, months: int = 24, patients: int = 40_000, establishments: int = 2
) -> Sector:
    """The sector of a seed: same arguments, same bytes."""
    rng = np.random.default_rng([seed, providers, months, patients])
    made = make_providers(rng, providers, min(groups, providers), establishments if providers > establishments else 0)
    population = make_population(rng, made, patients, months, first.year)
    bounds = np.searchsorted(population.provider, np.arange(providers + 1))
    return Sector(seed, first, months, made, population, bounds)


# PPC tiers in order of observance: a treatment begins on 9.INI for three months, then moves along its ladder at times.
INITIATION, LADDERS = 1132608, ((1187880, 1115455, 1192987), (1103446, 1162006, 1124112))


def _tiers(people: Population, episode: np.ndarray, rank: int) -> np.ndarray:
    """The code each episode is billed in month `rank`: its own, or its PPC tier at that time."""
    codes = people.main[episode].copy()
    since = rank - np.floor(people.start[episode]).astype(np.int64)
    begun = people.start[episode] >= 0
    codes[codes == INITIATION] = LADDERS[0][0]
    drawn = (episode.astype(np.uint64) * np.uint64(2654435761) + (since // 3).astype(np.uint64) * np.uint64(40503)) >> np.uint64(8)
    step = np.where(drawn % 100 < 9, 1, np.where(drawn % 100 < 13, -1, 0)) * (since >= 6)
    adult = np.zeros(len(codes), dtype=bool)
    for ladder in LADDERS:
        for place, code in enumerate(ladder):
            rows = people.main[episode] == code
            rows |= (people.main[episode] == INITIATION) & (code == LADDERS[0][0])
            codes[rows] = np.array(ladder)[np.clip(place + step[rows], 0, 2)]
            adult |= rows
    codes[adult & begun & (since < 3)] = INITIATION
    return codes


def month_lines(sector: Sector, provider: int, rank: int) -> dict[str, np.ndarray]:
    """Lines billed by a provider for one month, as columns sorted by invoice: the truth the files carry.

    Columns: invoice (0-based), episode, lpp, units, tariff and total (cents), rate (percent), amo and amc
    (cents), day (day of month, service start), days (length in days).
    """
    people = sector.population
    low, high = sector._bounds[provider], sector._bounds[provider + 1]
    episode = np.arange(low, high)
    start, end = people.start[low:high], people.end[low:high]
    episode = episode[(start < rank + 1) & (end > rank)]
    rng = np.random.default_rng([sector.seed, 7, provider, rank])
    month = sector.month(rank)
    after = sector.month(rank + 1)
    length = (after - month).days
    mondays = [day for day in range(1, length + 1) if dt.date(month.year, month.month, day).weekday() == 0]
    unit = {code: product.unit for code, product in products().items()}
    pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray, int, np.ndarray]] = []  # episode, lpp, units, day, days

    def bill(rows: np.ndarray, codes: np.ndarray) -> None:
        billed = codes != 0
        rows, codes = rows[billed], codes[billed]
        kind = np.array([unit[code] for code in codes.tolist()], dtype="U5")
        for name, splits in (("week", ((0, 2), (2, len(mondays)))), ("day", ((0, 1),)), ("month", ((0, 1),)), ("unit", ((0, 1),))):
            of_kind = kind == name
            if not of_kind.any():
                continue
            for begin, stop in splits:
                quantity = {"week": stop - begin, "day": length, "month": 1, "unit": 2}[name]
                day = mondays[begin] if name == "week" else 1
                span = {"week": 7 * quantity, "day": length, "month": length, "unit": 1}[name]
                count = int(of_kind.sum())
                pieces.append((rows[of_kind], codes[of_kind], np.full(count, quantity), day, np.full(count, span)))

    bill(episode, _tiers(people, episode, rank))
    bill(episode, people.second[episode])
    fresh = episode[(people.start[episode] >= rank) & (people.once[episode] != 0)]
    pieces.append((fresh, people.once[fresh], np.ones(len(fresh), np.int64), 1, np.ones(len(fresh), np.int64)))
    ids = np.concatenate([p[0] for p in pieces]) if pieces else np.zeros(0, np.int64)
    lpp = np.concatenate([p[1] for p in pieces])
    units = np.concatenate([p[2] for p in pieces])
    day = np.concatenate([np.full(len(p[0]), p[3]) for p in pieces])
    days = np.concatenate([p[4] for p in pieces])
    # Two episodes of one person may call for the same product: it is delivered, and billed, once.
    _, first = np.unique((people.patient[ids] * 10**7 + lpp) * 100 + day, return_index=True)
    first.sort()
    ids, lpp, units, day, days = ids[first], lpp[first], units[first], day[first], days[first]
    order = np.lexsort((np.arange(len(ids)), day, ids))
    ids, lpp, units, day, days = ids[order], lpp[order], units[order], day[order], days[order]
    price = {code: tariff(code, month.isoformat()) or 0 for code in np.unique(lpp).tolist()}
    unit_price = np.array([price[code] for code in lpp.tolist()], dtype=np.int64)
    total = unit_price * units
    rate = np.where(people.exempt[people.patient[ids]], 100, 60)
    amo = (total * rate * 2 + 100) // 200
    _, invoice = np.unique(ids, return_inverse=True)
    full = (rng.random(int(invoice.max()) + 1 if len(invoice) else 0) < 0.85)[invoice]
    return {
        "invoice": invoice, "episode": ids, "lpp": lpp, "units": units, "tariff": unit_price, "total": total, "rate": rate, "amo": amo,
        "amc": np.where(full, total - amo, 0), "day": day, "days": days,
    }  # fmt: skip


def _yymmdd(day: dt.date) -> int:
    return day.year % 100 * 10_000 + day.month * 100 + day.day


def _dates(month: dt.date, offset: np.ndarray) -> np.ndarray:
    table = [_yymmdd(month + dt.timedelta(days=int(d))) for d in range(0, 75)]
    return np.array(table)[offset]


def software_of(who: Provider, rank: int) -> str:
    """What a provider's software writes of itself in month `rank`: a few changed software after their first year, a few say nothing."""
    if who.rank % 17 == 9:
        return ""
    if who.rank % 13 == 7 and rank < 12:
        return VENDORS[(VENDORS.index(who.vendor) + 1) % len(VENDORS)]
    return who.vendor


def month_file(sector: Sector, provider: int, rank: int) -> bytes:
    """The B2 file of a provider's month, b"" when it billed nothing."""
    lines = month_lines(sector, provider, rank)
    if not len(lines["invoice"]):
        return b""
    who, people, month = sector.providers[provider], sector.population, sector.month(rank)
    created = sector.month(rank + 1) + dt.timedelta(days=4)
    invoice, first = np.unique(lines["invoice"], return_index=True)
    episode = lines["episode"][first]
    patient = people.patient[episode]
    count = len(invoice)
    number = (sector.first.year * 12 + rank) % 1000 * 100_000 + np.arange(1, count + 1)
    sender = Sender(who.finess, _ascii(who.name), who.norm, f"{provider % 36**2:03d}{rank:03d}", _yymmdd(created), message=software_of(who, rank))
    text = np.zeros((len(lines["lpp"]), 13), dtype=np.uint8) + 32
    for place in range(7):
        text[:, 6 - place] = 48 + lines["lpp"] // 10**place % 10
    act_codes = {code: product.act_code.ljust(5).encode() for code, product in products().items()}
    act = np.frombuffer(b"".join(act_codes[code] for code in lines["lpp"].tolist()), dtype=np.uint8).reshape(-1, 5)
    heads = {
        "nir": people.nir[patient], "nir_key": people.nir_key[patient], "invoice_no": number, "operation_nature": 1,
        "regime": people.regime[patient], "caisse": people.caisse[patient], "nature_assurance": 10,
        "birth_date": people.birth_date[patient], "birth_rank": 1,
    }  # fmt: skip
    begin, stop = _dates(month, lines["day"] - 1), _dates(month, lines["day"] + lines["days"] - 2)
    every = np.arange(len(lines["lpp"]))
    if who.norm == "CP":
        heads |= {"entry_date": _yymmdd(month), "exit_date": _yymmdd(created), "tm_justif": "0"}
        names, firsts = people.names[patient], people.first_names[patient]
        extras: dict[str, tuple[np.ndarray, Values]] = {
            "2S": (np.arange(count), {"sequence": 1}),
            "2B": (np.arange(count), {"beneficiary_quality": "A ", "civility": "M  ", "beneficiary_name": _column(names, 25), "first_name": _column(firsts, 14)}),
        }  # fmt: skip
        bases = {
            "start_date": begin, "end_date": stop, "act_code": act, "quantity": lines["units"], "coefficient": 100,
            "unit_price": lines["tariff"], "base_amo": lines["total"], "rate": lines["rate"], "amount_amo": lines["amo"],
            "amount_expense": lines["total"], "amount_oc": lines["amc"],
        }  # fmt: skip
        details = {"lpp_code": text, "quantity": lines["units"], "lpp_tariff": lines["tariff"], "total_billed": lines["total"]}
        companions = {"3S": {"sequence": 1, "prescriber_no": people.prescriber[lines["episode"]], "prior_agreement": 9}}
    else:
        heads |= {
            "invoice_date": _yymmdd(created), "rights_proof": 4, "prescriber_no": people.prescriber[episode],
            "prescription_date": _yymmdd(month), "tm_justif": "0", "prescriber_specialty": people.specialty[episode], "payee": 15,
        }  # fmt: skip
        extras = {"2S": (np.flatnonzero(patient % 4 == 0), {})}
        bases = {
            "prior_agreement": 9, "executant_no": who.finess, "executant_specialty": 60, "act_date": begin, "act_code": act,
            "quantity": 1, "coefficient": 100, "denombrement": 1, "unit_price": lines["total"], "base_amo": lines["total"],
            "rate": lines["rate"], "amount_amo": lines["amo"], "amount_expense": lines["total"], "place": 1, "amount_oc": lines["amc"],
        }  # fmt: skip
        supply = np.array([SUPPLY[code] for code in lines["lpp"].tolist()], dtype=np.uint8)
        details = {
            "lpp_code": text, "supply_type": supply, "start_date": begin, "end_date": np.where(supply == ord("A"), 0, stop),
            "lpp_tariff": lines["tariff"], "units": lines["units"], "sale_unit_price": lines["tariff"],
            "lpp_base": lines["total"], "total_billed": lines["total"],
        }  # fmt: skip
        companions = {}
    return write_file(sender, Invoices(count, heads, bases, lines["invoice"], details, every, extras, companions))


def _column(texts: np.ndarray, width: int) -> np.ndarray:
    fixed = np.char.ljust(texts, width).astype(f"S{width}")
    return np.frombuffer(fixed.tobytes(), dtype=np.uint8).reshape(-1, width)


def _ascii(name: str) -> str:
    table = str.maketrans("ÉÈÊÀÂÎÏÔÙÛÇ’'-", "EEEAAIIOUUC   ")
    return name.upper().translate(table).encode("ascii", "ignore").decode()
