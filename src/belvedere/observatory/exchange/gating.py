"""The gate of counts for institutions, which is that of the observatory's own figures: floors, clean audits, and the word of every federation.

Nobody reads a figure before it opens, the operator and the federations included: what is examined is how the counts were protected.
"""

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from belvedere.observatory.accounts.models import User
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.exchange import events
from belvedere.observatory.exchange.models import CountsWord, Dataset, DatasetState, Party
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Federation
from belvedere.observatory.publication import computing, gate
from belvedere.observatory.publication.gate import GateClosed
from belvedere.observatory.publication.models import StandingApproval, Verdict

CODE = "agregats-gir"
PLACES = "personnes-etablissements"  # the same, by establishment, for their own readers (`placed.py`)
SERIES = "comptes"  # of standing approvals
SHOWN = 24


class AggregateRefused(Exception):
    """The counts may not be told; says why, in French."""


def gone_out() -> QuerySet[Dataset]:
    """The counts that institutions read, the oldest first: what they may subtract from the next."""
    return Dataset.objects.filter(code=CODE, state=DatasetState.SOUND).order_by("made_at", "pk")


def _subject(dataset: Dataset) -> str:
    return f"jeu:{dataset.code}:{dataset.period}:{dataset.version}"


def reasons(dataset: Dataset) -> list[str]:
    """What keeps counts from going out, besides the federations' words; never by how much. The floors are those of a cell, asked of the whole, and the share
    of the biggest that holds for releases. Counts whose masks leak are never frozen."""
    told, floor = dataset.report.get("gate"), computing.parameters()
    if told is None:
        return ["Ces comptes datent d’avant le verrou : écartez-les, puis comptez de nouveau."]
    found = gate.missing_federations()
    if told["operators"] < floor.holdings:
        found.append(f"Seuil non atteint : {floor.holdings} entités juridiques au moins sont nécessaires.")
    if told["persons"] < floor.patients:
        found.append(f"Seuil non atteint : {floor.patients} personnes au moins sont nécessaires.")
    if told["biggest"] > gate.thresholds().biggest:
        found.append("Seuil dépassé : une entité juridique pèse trop dans l’ensemble.")
    if set(gone_out().exclude(pk=dataset.pk).values_list("pk", flat=True)) - set(told.get("against", [])):
        found.append("D’autres comptes ont paru depuis : écartez ceux-ci, puis comptez de nouveau.")
    return found


@transaction.atomic
def decide(
    *, dataset: Dataset, federation: Federation, by: User | None, verdict: Verdict = Verdict.YES, reason: str = "", standing: bool = False
) -> Dataset:
    """A federation's word on counts; the last yes of all lets them out to the institutions. GateClosed when they wait for no word."""
    gate.hold()
    row = Dataset.objects.select_for_update(of=("self",)).get(pk=dataset.pk)
    if row.state != DatasetState.WAITING:
        raise GateClosed("Ces comptes n’attendent plus d’avis.")
    said = gate.word(verdict=verdict, reason=reason, by=by, standing=standing, against=reasons(row) if verdict == Verdict.YES else [])
    CountsWord.objects.update_or_create(dataset=row, federation=federation, defaults=said)
    action = "echange.agregats.valides" if verdict == Verdict.YES else "echange.agregats.refuses"
    record(by=gate.speaker(by, standing=standing), action=action, subject=_subject(row), federation=federation.name, standing=standing)
    if gate.all_said_yes(row.words.all()):
        row.state = DatasetState.SOUND
        row.save(update_fields=["state"])
        record(by="verrou", action="echange.agregats.parus", subject=_subject(row))
        told = row.report["gate"]
        for code, readers in ((row.code, told["readers"]), (PLACES, told.get("place_readers", {}))):
            for reader in Party.objects.filter(pk__in=map(int, readers), admitted=True):
                events.raise_(topic="jeu-publie", establishment=reader, focus=f"jeux/{code}/{row.period}/{row.version}")
    return row


def words_for(dataset: Dataset, federation: Federation) -> tuple[CountsWord | None, list[tuple[Federation, CountsWord]]]:
    """(its own word, everybody's): blind until all have spoken or the review is over."""
    return gate.seen_by(federation, dataset.words.select_related("federation"), over=dataset.state != DatasetState.WAITING)


def speak_for_standing(dataset: Dataset) -> None:
    """Say yes for the federations that approved the series beforehand, if the counts may go out at all."""
    if reasons(dataset):
        return
    for given in StandingApproval.objects.filter(series=SERIES, withdrawn_at=None).select_related("federation"):
        decide(dataset=dataset, federation=given.federation, by=None, standing=True)


@transaction.atomic
def set_aside(*, dataset: Dataset, by: User, reason: str) -> Dataset:
    """End the review of counts that will not go out: they may be counted again. GateClosed without a reason, or for what waits no more."""
    check(by, Action.MANAGE_GATE)
    row = Dataset.objects.select_for_update(of=("self",)).get(pk=dataset.pk)
    why = gate.motive(reason)
    if row.state != DatasetState.WAITING:
        raise GateClosed("Ces comptes n’attendent plus d’avis.")
    row.state, row.counted = DatasetState.DECLINED, b""
    row.report = {"ended_for": why, "ended_at": timezone.now().isoformat()}  # the figures go with it
    row.save(update_fields=["state", "report", "counted"])
    record(by=by.actor, action="echange.agregats.ecartes", subject=_subject(row), reason=row.report["ended_for"])
    return row


def under_review() -> list[Dataset]:
    """Every count that waits, then the last that were decided, the newest first."""
    held = Dataset.objects.filter(code=CODE)
    return [*held.filter(state=DatasetState.WAITING), *held.exclude(state=DatasetState.WAITING)[:SHOWN]]


def masked(dataset: Dataset) -> int | None:
    """Masked cells of counts that went out; None of others: from one try to the next, their number would say a little of what changed."""
    if dataset.state != DatasetState.SOUND:
        return None
    return sum(cell["persons"] is None for cell in dataset.report["cells"])
