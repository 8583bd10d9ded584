"""A made-up exchange world for the demonstration: services that deposit, institutions that receive. It says on screen that its people do not exist."""

import datetime as dt
import json

from django.db import transaction
from django.utils import timezone

from belvedere.engine.exchange import sample
from belvedere.engine.exchange.identifiers import finess_valid
from belvedere.observatory.exchange import aggregates, datasets, gating, intake, keys
from belvedere.observatory.exchange.models import Party, RetentionRule
from belvedere.observatory.members.models import Federation

PLACES = (
    ("SSIAD du Canal", "75", "R11", "354", "Soins+", 26), ("SSIAD des Lilas", "75", "R11", "354", "DomiCare", 22), ("SSIAD de la Plaine", "93", "R11", "354", "Soins+", 24),
    ("SSIAD du Parc", "94", "R11", "354", "Mosaïque", 18), ("EHPAD Les Tilleuls", "75", "R11", "500", "Mosaïque", 20), ("SSIAD des Dombes", "01", "R84", "354", "DomiCare", 12),
)  # fmt: skip
INSTITUTIONS = (
    ("CNSA, SIDOBA", "CNSA_SIDOBA", "", ""), ("CNAM, RESID-ESMS", "CNAM_RESIDESMS", "", ""), ("ARS Île-de-France", "ARS", "", "R11"), ("Département de Paris", "DEPARTEMENT", "75", ""),
    ("Archives de Paris", "ARCHIVES_DEPARTEMENTALES", "75", ""), ("DREES", "DREES", "", ""), ("ATIH, tableau de bord", "ATIH_TDB", "", ""),
)  # fmt: skip


def _number(department: str, rank: int) -> str:
    base = f"{department}99{rank:04d}"
    return next(base + str(digit) for digit in range(10) if finess_valid(base + str(digit)))


def build(by: str) -> dict[str, Party]:
    """Make the parties, deposit their stays, publish datasets and counts; returns the parties by name. Some deposits are refused, as in life."""
    today = timezone.localdate()
    first = (today.replace(day=1) - dt.timedelta(days=1)).replace(day=1)
    period = f"{(today.replace(day=1) - dt.timedelta(days=1)):%Y-%m}"
    parties: dict[str, Party] = {}
    with transaction.atomic():
        for name, actor, department, region in INSTITUTIONS:
            parties[name] = Party.objects.create(actor=actor, name=name, department=department, region=region)
            keys.issue(party=parties[name], label="Premier jeton", by=by)
        RetentionRule.objects.create(department="75", months=0, fate="conserver", since=dt.date(2020, 1, 1))
    seed = 0
    for rank, (name, department, region, kind, software, people) in enumerate(PLACES):
        party = Party.objects.create(
            actor="ESMS_PRODUCTEUR",
            name=name,
            finess=_number(department, rank),
            kind=kind,
            department=department,
            region=region,
            software=software,
            opened_on=dt.date(2005, 1, 1),
            entity=_number(department, 500 + rank),
        )
        parties[name] = party
        rows = []
        for person in range(people):
            seed += 1
            end = first + dt.timedelta(days=20) if person == 0 else None
            said = {3: False, 5: True}.get(person)
            rows += sample.stay_of(sample.resident(seed), party.finess, seed=seed, start=first + dt.timedelta(days=person % 12), end=end, agreed=said)
        content = sample.transaction(party.finess, name, f"{first:%Y-%m}", rows)
        intake.receive(party, json.dumps(content).encode(), software=software)
        if software == "DomiCare":
            wrong = sample.transaction(
                party.finess, name, "essai", sample.stay_of(sample.resident(9_000 + rank), party.finess, seed=9_000 + rank, start=first)
            )
            wrong["entry"][2]["resource"]["birthDate"] = "1801-01-01"
            intake.receive(party, json.dumps(wrong).encode(), software=software)
    for code in ("ssiad-sidoba", "resid-esms"):
        datasets.content(datasets.publish(code=code, period=period, by=by), by=by)
    counts = aggregates.propose(by=by, finely=True)
    if not gating.reasons(counts):
        for federation in Federation.objects.order_by("pk"):
            gating.decide(dataset=counts, federation=federation, by=None)
    return parties


def token_of(party: Party, by: str) -> str:
    """A token of a party's machine, to try the FHIR face."""
    return keys.issue(party=party, label="Démonstration", by=by)
