"""A sector's groups enrolled, and its flows sent and settled: what most tests of the observatory begin with."""

from collections.abc import Iterable

from belvedere.engine.b2.envelope import seal
from belvedere.engine.sector.billing import Sector, month_file
from belvedere.observatory.collect import keyring, reception, worker
from belvedere.observatory.members.actions import enrol_group
from belvedere.observatory.members.models import Federation, Group


def enrolled(sector: Sector, federations: list[Federation]) -> list[Group]:
    """The sector's groups with their members, the federations taken in turn."""
    made = []
    for number in sorted({p.group for p in sector.providers}):
        own = [p for p in sector.providers if p.group == number]
        members = [{"name": p.name, "siren": p.siren, "finess": p.finess, "department": p.home, "norm": p.norm} for p in own]
        made.append(enrol_group(name=own[0].group_name, federation=federations[number % len(federations)], members=members, by="test"))
    return made


def send(groups: list[Group], sector: Sector, months: Iterable[int], providers: Iterable[int] | None = None) -> None:
    """Seal, receive and settle the flows of some months (ranks), of all providers or of some (ranks)."""
    for provider in sector.providers if providers is None else [sector.providers[rank] for rank in providers]:
        group = next(g for g in groups if g.members.filter(finess=provider.finess).exists())
        for month in months:
            if clear := month_file(sector, provider.rank, month):
                reception.receive(group=group, sealed=seal(clear, keyring.certificate()), channel="api", file_name="f")
    worker.drain()
