"""Admit a party and give it its token."""

from django.db import transaction
from django.utils import timezone

from belvedere.engine.exchange.access import TOKEN
from belvedere.engine.exchange.identifiers import finess_valid
from belvedere.engine.exchange.vocabulary import Actor
from belvedere.engine.nomenclature.territories import region_of
from belvedere.observatory.exchange import establishments, keys, subscribing
from belvedere.observatory.exchange.models import Party, PartyKey, Subscription, SubscriptionState
from belvedere.observatory.journal.actions import record

TERRITORIAL = {Actor.ARS: "region", Actor.DEPARTMENT: "department", Actor.MDPH: "department", Actor.ARCHIVES: "department"}


class PartyRefused(Exception):
    """The party cannot be admitted; says why, in French."""


def named(name: str) -> Party:
    """The admitted actor of that name. PartyRefused."""
    found = Party.objects.filter(name=name, admitted=True).first()
    if found is None:
        raise PartyRefused(f"Aucun acteur admis ne s’appelle « {name[:80]} » : le nom est celui de la page Exploitation, Échanges.")
    return found


@transaction.atomic
def end(party: Party, *, by: str, why: str) -> None:
    """End a party's admission: its tokens and subscriptions close at once; what it deposited stays under the rights of others. PartyRefused without a reason."""
    if not why.strip():
        raise PartyRefused("Dites pourquoi : le motif va au journal.")
    row = Party.objects.select_for_update(of=("self",), no_key=True).get(pk=party.pk)
    row.admitted = False
    row.save(update_fields=["admitted"])
    for key in PartyKey.objects.filter(party=row, revoked_at=None):
        keys.revoke(key=key, by=by)
    for subscription in Subscription.objects.filter(party=row).exclude(state=SubscriptionState.OFF):
        subscribing.stop(subscription, by=by, why="L’admission a pris fin.")
    record(by=by, action="echange.acteur.fini", subject=row.code, why=why.strip()[:200])


@transaction.atomic
def admit(
    *,
    actor: str,
    name: str,
    by: str,
    finess: str = "",
    kind: str = "",
    department: str = "",
    region: str = "",
    software: str = "",
    contact: str = "",
    level: int = TOKEN,
    entity: str = "",
) -> tuple[Party, str]:
    """Admit an actor: an establishment by its FINESS (one known from the official file is taken up), an institution by its territory. PartyRefused."""
    if actor not in set(Actor) or actor in (Actor.VENDOR, Actor.OPERATOR, Actor.PERSON):
        raise PartyRefused(
            "Cet acteur n’est pas de ceux que la matrice connaît : "
            + ", ".join(sorted(set(Actor) - {Actor.VENDOR, Actor.OPERATOR, Actor.PERSON}))
            + "."
        )
    home = actor in (Actor.PRODUCER, Actor.RECEIVER)
    if home and not finess_valid(finess):
        raise PartyRefused("Un établissement est admis par son FINESS géographique ; celui-ci manque ou sa clé est fausse.")
    if (needed := TERRITORIAL.get(Actor(actor))) and not {"region": region, "department": department}[needed]:
        raise PartyRefused(f"Cet acteur lit un territoire : donnez --{needed}.")
    if entity and not finess_valid(entity):
        raise PartyRefused("Le FINESS juridique n’a pas neuf caractères ou sa clé est fausse.")
    if needed and Party.objects.filter(actor=actor, region=region, department=department, admitted=True).exists():
        raise PartyRefused("Une institution de ce rôle et de ce territoire est déjà admise : donnez-lui un autre jeton.")
    if home:
        told = establishments.at(finess, timezone.localdate())
        for name, asked in (("department", department), ("region", region), ("kind", kind), ("entity", entity)):
            if told and asked and asked != getattr(told, name):
                raise PartyRefused(f"FINESS dit autre chose de cet établissement ({name} : {getattr(told, name)}) : ne donnez pas --{name}.")
        if told:
            department, region, kind, entity = told.department, told.region, told.kind, told.entity
        department = department or (finess[:3] if finess.startswith("97") else finess[:2])
        region = region or region_of().get(department, "")
    given = {
        "actor": actor,
        "name": name[:160],
        "department": department,
        "region": region,
        "software": software[:80],
        "contact": contact,
        "admitted": True,
    }
    found = Party.objects.filter(finess=finess).first() if finess else None
    if found and found.admitted:
        raise PartyRefused("Cet établissement est déjà admis.")
    if found:
        establishments.as_now(found).save()
        for field, value in (given | {name: value for name, value in (("kind", kind), ("entity", entity)) if value}).items():
            setattr(found, field, value)
        found.save()
    made = found or Party.objects.create(finess=finess, kind=kind, entity=entity, **given)
    record(by=by, action="echange.acteur.admis", subject=made.code, actor=actor, level=level)
    return made, keys.issue(party=made, label="Premier jeton", by=by, level=level)
