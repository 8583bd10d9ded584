"""Persons accompanied by each establishment: told with the counts of the month when asked, once a year, through the same gate, to whom the matrix lets read
persons at that grain (the dashboard of ATIH, as it is shipped)."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from belvedere.engine.exchange.counts import Key
from belvedere.engine.exchange.placed import Before, by_establishment
from belvedere.engine.exchange.turnover import TOP
from belvedere.engine.nomenclature.territories import region_of
from belvedere.engine.secrecy.rules import Parameters
from belvedere.observatory.exchange import counted, gating
from belvedere.observatory.exchange.gating import AggregateRefused
from belvedere.observatory.exchange.models import Dataset, Party


@dataclass(frozen=True)
class PlaceCell:
    """Persons of one establishment; None when masked."""

    finess: str
    persons: int | None


def may_tell(told: Sequence[Dataset], period: str, readers: Sequence[Party]) -> None:
    """AggregateRefused: nobody may read them, or they were told this year already."""
    if not readers:
        raise AggregateRefused("Aucune institution admise ne peut lire des comptes par établissement : voyez la matrice d’habilitation.")
    if any("places" in one.report and one.period[:4] == period[:4] for one in told):
        raise AggregateRefused(
            "Les comptes par établissement de cette année ont paru : d’un mois au suivant, leur différence désignerait des personnes."
        )


def protected_with(now: Any, cells: dict[Key, int | None], told: Sequence[Dataset], parameters: Parameters) -> list[dict[str, Any]]:
    """The establishments, protected under the counts of the same persons and against the earlier ones. Unprotected."""
    earlier = [_before(one) for one in told if "places" in one.report]
    numbers = {number for table in (now, *(one.counted for one in earlier)) for number in table["establishment"].to_pylist()}
    places = {pk: (finess, department) for pk, finess, department in Party.objects.filter(pk__in=numbers).values_list("pk", "finess", "department")}
    found = by_establishment(now, cells, earlier, parameters, region_of(), places)
    return [{"finess": finess, "persons": persons} for finess, persons in found.items()]


def _before(one: Dataset) -> Before:
    departments = frozenset(cell["territory"] for cell in one.report["cells"] if cell["gir"] == cell["sex"] == TOP and cell["persons"] is not None)
    return Before(one.period, {cell["finess"]: cell["persons"] for cell in one.report["places"]}, departments, counted.today(counted.unseal(one)))


def gone_out_to(party: Party) -> list[Dataset]:
    """The tables that an institution was taken into account for, the newest first; its territory being what it was."""
    rows = gating.gone_out().order_by("-made_at", "-pk")
    where = [party.department, party.region]
    return [one for one in rows if one.report.get("gate", {}).get("place_readers", {}).get(str(party.pk)) == where]


def cells(dataset: Dataset, finess: Container[str]) -> list[PlaceCell]:
    """The numbers of some establishments."""
    return [PlaceCell(**cell) for cell in dataset.report["places"] if cell["finess"] in finess]
