"""The demonstration's last month through the simulated front-end: the member's real sealed flow is judged, acknowledged, then paid and rejected against a
register of rights, and the NOEMIE file that says so is received like any other."""

import datetime as dt
from dataclasses import replace

import numpy as np

from belvedere.engine.b2.envelope import Holder, seal
from belvedere.engine.sector.billing import Sector, month_file, month_lines
from belvedere.engine.services import frontend
from belvedere.engine.services.invoice_check import invoices
from belvedere.engine.services.rights import Rights, Span
from belvedere.observatory.services.serving import office

CLOSED_ONE_IN, MOVED_ONE_IN = 60, 90


def register(sector: Sector, nirs: set[str], day: dt.date) -> dict[str, Rights]:
    """The rights of the sector's people who are billed: a few closed, a few moved to another office without their provider knowing."""
    people, since = sector.population, Span(dt.date(2015, 1, 1))
    found: dict[str, Rights] = {}
    for at, nir in enumerate(bytes(row).decode() for row in people.nir):
        if nir not in nirs:
            continue
        one = Rights(
            nir, f"{int(people.nir_key[at]):02d}", f"{int(people.birth_date[at]):06d}", "1", f"{int(people.regime[at]):02d}", f"{int(people.caisse[at]):03d}", "0000", "assuré", (since,)
        )  # fmt: skip
        drawn = int.from_bytes(nir[-4:].encode())  # the same fate whenever it is asked
        if drawn % CLOSED_ONE_IN == 0:
            one = replace(one, open=(Span(dt.date(2015, 1, 1), day - dt.timedelta(days=60)),))
        elif drawn % MOVED_ONE_IN == 1:
            one = replace(one, caisse=f"{(int(one.caisse) + 20) % 990:03d}")
        found[nir] = one
    return found


def front_return(sector: Sector, provider: int, rank: int, caisse: Holder) -> bytes:
    """The NOEMIE answer of the front-end to a provider's month, b"" when it billed nothing. RuntimeError when the flow is refused."""
    clear = month_file(sector, provider, rank)
    if not clear:
        return b""
    sent = sector.month(rank + 1) + dt.timedelta(days=4)
    taken = frontend.receive(seal(clear, caisse.certificate), [caisse], dt.datetime.combine(sent, dt.time(9), dt.UTC))
    if not taken.acknowledgement.accepted:
        raise RuntimeError(f"le frontal simulé refuse le flux : {taken.acknowledgement.code}")
    lines = month_lines(sector, provider, rank)
    amo, amc = (np.bincount(lines["invoice"], weights=lines[name]).astype(int).tolist() for name in ("amo", "amc"))
    billed = list(invoices(taken.clear))
    amounts = {one.number: (amo[at], amc[at]) for at, one in enumerate(billed)}
    held = register(sector, {one.nir for one in billed}, sent)
    return frontend.noemie(frontend.settle(taken.clear, amounts, held, sent, seed=sector.seed), sector.providers[provider].finess, sent)


def caisse(sector: Sector) -> Holder:
    """The certificate holder of the simulated office, in force the whole window of the sector."""
    return office(dt.datetime.combine(sector.month(sector.months), dt.time(0), dt.UTC))
