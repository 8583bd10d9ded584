"""A deposit, from its bytes to its answer: all of it or nothing, once, in one transaction with its events and its journal entry."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone

from belvedere.engine.exchange import bundle, checks, rules, strict, structure
from belvedere.engine.exchange.bundle import Deposited
from belvedere.engine.exchange.rules import Remark
from belvedere.observatory.exchange import doors, events, naming, referentials, turns, vault, writing
from belvedere.observatory.exchange.models import Deposit, DepositState, Party, Resource
from belvedere.observatory.journal import sealing
from belvedere.observatory.journal.actions import note, record
from belvedere.observatory.tokens import reference

TRIES = 5


@dataclass
class Answer:
    """What the depositor is answered: HTTP status, FHIR body, headers, and the deposit when there is one."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    deposit: Deposit | None = None


def examine(party: Party, raw: bytes, *, alone: bool = False, channel: str = "fhir", original: bytes = b"") -> tuple[dict, Deposited, list[Remark]]:
    """The content of a deposit, its entries and everything the rules say of it; nothing is stored. `alone`: stays already open are not looked at; `original`:
    what it was read from, when it came by another door."""
    try:
        content = strict.parse(raw)
    except strict.Malformed as error:
        return {}, Deposited(), [Remark(error.rule, "", error.what[:80])]
    deposited, remarks = bundle.read(content, doors.MOST_ENTRIES.get(channel, strict.MOST_ENTRIES))
    if not remarks:
        remarks = structure.check(deposited)
    if not remarks:
        remarks = bundle.unresolved(deposited, lambda address: _stored_type(party, address))
    if not remarks:
        named = naming.named_in(party, deposited)
        known = referentials.known_to(party, deposited, named)
        remarks = checks.check(deposited, replace(known, open_stay=lambda stay, deposited: False) if alone else known)
        if not rules.refuses(remarks):
            remarks += naming.contradictions(party, deposited, named)
        remarks += doors.unread(original, channel)
    return content, deposited, rules.kept(remarks)


def _stored_type(party: Party, address: str) -> str | None:
    kind, _, uid = address.rpartition("/")
    found = Resource.objects.filter(uid=uid, establishment=party, current=True, erased=False).values_list("type", flat=True).first()
    return found if found and kind.rsplit("/", 1)[-1] == found else None


def tried(party: Party, raw: bytes, *, key: str = "", channel: str = "fhir", original: bytes = b"") -> tuple[Deposited, list[Remark], str]:
    """(entries, remarks, sentence of a conflict or "") of a deposit as it would be taken now; nothing is stored."""
    content, deposited, remarks = examine(party, raw, channel=channel, original=original)
    sha = strict.digest(raw)
    before = _before(party, _identifier(content, key, sha))
    if before is not None:
        return deposited, remarks, "" if before.sha256 == sha else _conflict(before)
    if not rules.refuses(remarks):
        try:
            with transaction.atomic():
                writing.prepare(party, raw, deposited, naming.recognise(party, deposited))
                transaction.set_rollback(True)
        except rules.Refused as error:
            remarks.append(error.remark)
    return deposited, remarks, ""


def validate(party: Party, raw: bytes, *, key: str = "") -> Answer:
    """The dry run: the same rules as a deposit meets, nothing stored."""
    deposited, remarks, conflict = tried(party, raw, key=key)
    if conflict:
        return Answer(200, _clash(conflict))
    count = len(deposited.entries)
    return Answer(200, rules.outcome(remarks, f"Ce dépôt serait accepté : {count} ressources, aucune remarque."))


# Thirteen characters that could be somebody's number: an identifier that holds them is kept as a token.
_PERSONAL = re.compile(r"[1-478]\d{4}(?:\d{2}|2[AB])\d{6}", re.IGNORECASE)


def _identifier(content: Mapping, given: str, sha: str) -> str:
    named = content.get("identifier")
    value = named.get("value") if isinstance(named, Mapping) else ""
    told = (given or str(value or "") or sha).replace("\0", "")
    return vault.token("depot", told)[:32] if _PERSONAL.search(re.sub(r"[^0-9A-Za-z]", "", told)) and told != sha else told[:200]


def _refuse(party: Party, sha: str, identifier: str, remarks: list[Remark], software: str, channel: str, imputed: str) -> Answer:
    with transaction.atomic():
        made = Deposit.objects.create(
            reference=reference("D", 4, 4), party=party, channel=channel, identifier=identifier, sha256=sha, state=DepositState.REFUSED, software=software[:80],
            received_at=timezone.now(), remarks=writing.told(remarks),
        )  # fmt: skip
        place = record(
            by=party.code,
            action="echange.depot.refuse",
            subject=f"depot:{made.reference}",
            rules=sorted({remark.rule for remark in remarks}),
            **({"person": imputed} if imputed else {}),
        )
        Deposit.objects.filter(pk=made.pk).update(place=place.number)
        events.raise_(topic="depot-refuse", establishment=party, deposit=made, focus=f"depots/{made.reference}")
    status = (
        413
        if any(remark.rule in ("tddui-json-02", "tddui-bundle-02") for remark in remarks)
        else 400
        if remarks[0].rule.startswith("tddui-json")
        else 422
    )
    return Answer(status, rules.outcome(remarks), {"Recepisse": made.reference}, made)


def receive(
    party: Party, raw: bytes, *, key: str = "", software: str = "", channel: str = "fhir", original: bytes = b"", imputed: str = ""
) -> Answer:
    """Take a transaction; `original` is what it was read from, when it came by another door, and is what is kept byte for byte. The same identifier with the same content is answered as the first time; with another content it is a conflict (409)."""
    if sealing.stamp_overdue():
        body = rules.outcome(
            [],
            "L’horodatage du journal manque depuis plus de quatre heures : aucun dépôt n’est pris tant qu’il ne peut être daté. Renvoyez plus tard.",
        )
        return Answer(503, body, {"Retry-After": "600"})
    with turns.of_process():
        return _received(party, raw, key=key, software=software, channel=channel, original=original, imputed=imputed)


def _received(party: Party, raw: bytes, *, key: str, software: str, channel: str, original: bytes, imputed: str) -> Answer:
    sha = strict.digest(raw)
    content, deposited, remarks = examine(party, raw, channel=channel, original=original)
    identifier = _identifier(content, key, sha)
    if before := _before(party, identifier):
        return _again(before, sha)
    if rules.refuses(remarks):
        return _refuse(party, sha, identifier, remarks, software, channel, imputed)
    said = {"identifier": identifier, "sha256": sha, "software": software[:80], "channel": channel}
    for _ in range(TRIES):
        try:
            with turns.of_machine(), transaction.atomic():  # a deposit that is refused names nobody, and makes no two persons one
                ready = writing.prepare(party, original or raw, deposited, naming.recognise(party, deposited))
                made = writing.store(party, deposited, remarks, ready, imputed=imputed, **said)
            return Answer(200, made.answer, {"Recepisse": made.reference}, made)
        except rules.Refused as error:
            return _refuse(party, sha, identifier, [error.remark], software, channel, imputed)
        except writing.Moved:
            # Another deposit came between: what the rules said may no longer hold.
            _, deposited, remarks = examine(party, raw, channel=channel, original=original)
            if rules.refuses(remarks):
                return _refuse(party, sha, identifier, remarks, software, channel, imputed)
        except IntegrityError:
            # The same deposit arrived twice at once, or the same resource: the other one was first.
            if before := _before(party, identifier):
                return _again(before, sha)
        except OperationalError as error:
            # PostgreSQL chose this transaction to end a deadlock, or a serialisation failure: nothing was written.
            if getattr(error.__cause__, "sqlstate", "") not in ("40P01", "40001"):
                raise
    body = rules.outcome([], "Vos dépôts se croisent sans cesse : envoyez-les l’un après l’autre, puis renvoyez celui-ci.")
    return Answer(503, body, {"Retry-After": "5"})


def _before(party: Party, identifier: str) -> Deposit | None:
    # One that spoke of somebody erased is known by a token of its identifier.
    names = (identifier, vault.token("depot", identifier)[:32])
    return Deposit.objects.filter(party=party, identifier__in=names).exclude(state=DepositState.REFUSED).first()


def _again(before: Deposit, sha: str) -> Answer:
    if before.sha256 == sha:
        return Answer(200, before.answer, {"X-Deja-Recu": "1", "Recepisse": before.reference}, before)
    note(by=before.party.code, action="echange.depot.refuse", subject=f"depot:{before.reference}", rules=["conflit"])
    return Answer(409, _clash(_conflict(before)), {"Recepisse": before.reference}, before)


def _conflict(before: Deposit) -> str:
    return f"Cet identifiant de dépôt a déjà servi à un autre contenu ({before.reference}). Changez Bundle.identifier, ou renvoyez le même contenu."


def _clash(told: str) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "conflict", "diagnostics": told}]}


def original(deposit: Deposit) -> bytes:
    """The deposit byte for byte; b"" when it was refused or erased."""
    return vault.unseal(deposit.original, f"depot:{deposit.reference}") if deposit.original else b""


def content_of(resource: Resource) -> dict[str, Any]:
    """A stored resource in clear, in memory; an erased one keeps its address alone."""
    if resource.erased:
        return {"resourceType": resource.type, "id": resource.uid, "meta": {"versionId": str(resource.version)}}
    return json.loads(vault.unseal(resource.content, resource.uid))
