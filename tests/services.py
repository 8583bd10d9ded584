"""Rights of the made-up people of a sector, and invoices written from them: what the register says and what is billed can be made to agree or not."""

import datetime as dt

from belvedere.engine.services.rights import Exemption, Rights, Span
from belvedere.engine.services.world import b2_file
from tests.flows import sector

DAY = dt.date(2026, 10, 6)
ALWAYS = Span(dt.date(2020, 1, 1))
EXEMPT = (Exemption("4", ALWAYS),)


def person(at: int, /, **changes) -> Rights:
    """The rights of a person of the sector, open and without exemption."""
    people = sector().population
    held = {
        "nir": bytes(people.nir[at]).decode(), "key": f"{int(people.nir_key[at]):02d}", "born": f"{int(people.birth_date[at]):06d}", "rank": "1", "regime": f"{int(people.regime[at]):02d}",
        "caisse": f"{int(people.caisse[at]):03d}", "centre": "0000", "quality": "assuré", "open": (ALWAYS,),
    }  # fmt: skip
    return Rights(**(held | changes))


def file_of(people: list[Rights], *, norm: str = "FR", day: dt.date = DAY) -> bytes:
    """A B2 file with an invoice a person, written from its rights."""
    return b2_file(people, day, finess=sector().providers[0].finess, norm=norm)
