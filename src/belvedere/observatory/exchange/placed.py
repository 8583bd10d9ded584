"""Counts by establishment: told with the counts of the month when asked, once a year, through the same engine and the same gate, to whom the matrix lets read
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
from belvedere.observatory.exchange.models import Dataset, Party

CODE = "agregats-etablissements"  # under which their readers find them


class AggregateRefused(Exception):
    """The counts may not be told; says why, in French."""


@dataclass(frozen=True)
class PlaceCell:
    """Persons of one establishment, all ("*") or of one GIR; None when masked."""

    finess: str
    gir: str
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
    """The cells by establishment, protected under the counts of the same persons and against the earlier ones. Unprotected, SecrecyError."""
    earlier = [Before(one.period, _held(one), counted.today(counted.unseal(one))) for one in told if "places" in one.report]
    numbers = {number for table in (now, *(one.counted for one in earlier)) for number in table["establishment"].to_pylist()}
    places = {pk: (finess, department) for pk, finess, department in Party.objects.filter(pk__in=numbers).values_list("pk", "finess", "department")}
    found = by_establishment(now, cells, earlier, parameters, region_of(), places)
    return [{"finess": key[0], "gir": key[1], "persons": persons} for key, persons in found.items()]


def _held(dataset: Dataset) -> dict[Key, int | None]:
    low = {(cell["finess"], cell["gir"], TOP): cell["persons"] for cell in dataset.report["places"]}
    return {(cell["territory"], cell["gir"], cell["sex"]): cell["persons"] for cell in dataset.report["cells"]} | low


def gone_out_to(party: Party) -> list[Dataset]:
    """The counts by establishment that an institution was taken into account for, the newest first."""
    rows = gating.gone_out().order_by("-made_at", "-pk")
    return [one for one in rows if party.pk in one.report.get("gate", {}).get("place_readers", [])]


def cells(dataset: Dataset, finess: Container[str]) -> list[PlaceCell]:
    """The numbers of some establishments."""
    return [PlaceCell(**cell) for cell in dataset.report["places"] if cell["finess"] in finess]
