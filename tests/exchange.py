"""Parties of the exchange hub for tests: a home nursing service, another one, and institutions."""

import datetime as dt
import io
import json
import zipfile

from django.utils import timezone

from belvedere.engine.exchange import sample, seda
from belvedere.engine.exchange.identifiers import finess_valid
from belvedere.engine.exchange.statements import Terms
from belvedere.engine.exchange.vocabulary import Statement
from belvedere.observatory.exchange import keys, policy
from belvedere.observatory.exchange.models import Party

START = dt.date(2026, 9, 1)


def finess(base: str) -> str:
    """Eight digits with their key."""
    return next(base + str(digit) for digit in range(10) if finess_valid(base + str(digit)))


SSIAD, OTHER, EHPAD = finess("75000001"), finess("69000002"), finess("75000003")


def establishment(number: str = SSIAD, *, kind: str = "354", software: str = "Soins+", name: str = "", entity: str = "") -> Party:
    department = number[:2]
    return Party.objects.create(
        actor="ESMS_PRODUCTEUR", name=name or f"Établissement {number}", finess=number, kind=kind, department=department, region={"75": "R11", "69": "R84"}[department],
        opened_on=dt.date(2000, 1, 1), software=software, contact=f"dsi-{number}@test.fr", entity=entity or number,
    )  # fmt: skip


def institution(actor: str, *, department: str = "", region: str = "") -> Party:
    return Party.objects.create(actor=actor, name=f"Institution {actor}", department=department, region=region, contact=f"{actor.lower()}@test.fr")


def bearer(party: Party, *, level: int = 2) -> dict[str, str]:
    """Headers of a party's machine, as the test client takes them."""
    return {"HTTP_AUTHORIZATION": f"Bearer {keys.issue(party=party, label='essai', by='test', level=level)}"}


def deposit(people: range, *, number: str = SSIAD, name: str = "depot-1", agreed: dict[int, bool] | None = None, **options) -> bytes:
    """A deposit of stays: one person a rank, with what some of them say."""
    rows = [
        row
        for rank in people
        for row in sample.stay_of(sample.resident(rank), number, seed=rank, start=START, agreed=(agreed or {}).get(rank), **options)
    ]
    return json.dumps(sample.transaction(number, "Service de soins", name, rows), ensure_ascii=False).encode()


def say(person, kind: str, party: Party, *, recipient: str = "", purpose: str = "", category: str = "") -> None:
    """What a person says to an establishment, now."""
    policy.state(person=person, terms=Terms(Statement(kind), purpose, category, recipient, timezone.now().isoformat()), party=party)


def rules_of(answer) -> set[str]:
    """The rules that an answer names."""
    return {issue["details"]["coding"][0]["code"] for issue in answer.body["issue"]}


def altered(raw: bytes, name: str, change) -> bytes:
    """A package whose member of that name is changed."""
    held = seda.members(raw)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for key, content in held.items():
            archive.writestr(key, change(content) if key == name else content)
    return out.getvalue()
