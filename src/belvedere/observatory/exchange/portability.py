"""Portability: everything an establishment deposited, in a package that another software takes back, with the proof that nothing is missing."""

import base64
import contextlib
import datetime as dt
import hashlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator

from cryptography.exceptions import InvalidSignature
from django.db import transaction
from django.utils import timezone

from belvedere.engine.exchange import bundle, comparing, seda, strict
from belvedere.engine.exchange.profiles import BARE
from belvedere.engine.exchange.strict import MOST_BYTES
from belvedere.engine.exchange.vocabulary import DATA, Category, Grain, Purpose
from belvedere.observatory.collect import keyring, receipts
from belvedere.observatory.exchange import events, leasing, policy, vault, wills
from belvedere.observatory.exchange.intake import content_of
from belvedere.observatory.exchange.models import Export, ExportKind, ExportState, Party, Resource, Stated
from belvedere.observatory.journal.actions import Fact, append, note, record
from belvedere.observatory.tokens import reference

DUE = {ExportKind.UNITARY: dt.timedelta(0), ExportKind.TARGETED: dt.timedelta(days=30), ExportKind.MASSIVE: dt.timedelta(days=30)}
KEPT = dt.timedelta(days=90)
ACKNOWLEDGED, PLANNED = dt.timedelta(hours=48), dt.timedelta(days=7)
MOST_KEPT, MOST_A_DAY = 12, 200  # exports of several persons kept, and of one person asked in a day
REPORT, SIGNATURE = "rapport-integrite.json", "rapport-integrite.sig.json"
BATCH = 1_500  # entries of a re-import transaction
_GUIDE = """# Export de portabilité

`export/*.ndjson` : une ressource FHIR R4 par ligne, un fichier par type, dans l’état en vigueur.
`rapport-integrite.json` : comptes par type, empreinte SHA-256 de chaque fichier, ressources refusées et leur raison ; `rapport-integrite.sig.json` :
sa signature Ed25519, que vérifie la clé publiée à `/api/v1/receipt-keys`.

Une donnée absente n’a pas été saisie. Une donnée négative est écrite : `valueBoolean: false`.
Les codes gardent leur système et leur version d’origine. Les fichiers des documents sont aussi dans `documents/`, les versions rectifiées dans `versions/`.

Pour reprendre ces données ailleurs : déposez chaque lot de `reprise/` (transactions TDDUI) dans l’ordre, avec le jeton de l’établissement.
"""


EXTENSIONS = {
    "application/pdf": ".pdf",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "text/plain": ".txt",
    "text/xml": ".xml",
    "application/xml": ".xml",
}


class ExportRefused(Exception):
    """The export cannot be made; says why, in French."""


def plan(export: Export) -> list[dict[str, str | None]]:
    """The phases of an export (ANS portability guide: acknowledged within 48 h, planned within 7 days, done within 30, open 90 days): what each is, by when, and
    since when it is done. It is acknowledged with its plan when it is asked, and made in one phase."""
    done = export.kept_until - KEPT if export.kept_until else None
    phases = (
        ("accuse", export.asked_at + ACKNOWLEDGED, export.asked_at), ("plan", export.asked_at + PLANNED, export.asked_at), ("paquet", export.due_at, done),
        ("acces", export.kept_until or export.due_at + KEPT, done),
    )  # fmt: skip
    return [{"phase": name, "by": by.isoformat(), "done_at": at.isoformat() if at else None} for name, by, at in phases]


@transaction.atomic
def ask(*, party: Party, kind: str, persons: list[str], by: str) -> Export:
    """Ask for an export: unitary (one person, at once), targeted (some), massive (all). `persons` are addresses of patients. ExportRefused."""
    if kind == ExportKind.MASSIVE and persons:
        raise ExportRefused("Un export massif prend toutes les personnes : n’en désignez pas.")
    if (kind == ExportKind.UNITARY and len(persons) != 1) or (kind == ExportKind.TARGETED and not persons):
        raise ExportRefused("Un export unitaire désigne une personne, un export ciblé au moins une.")
    known = set(
        Resource.objects.filter(establishment=party, type="Patient", uid__in=persons, current=True, erased=False).values_list("uid", flat=True)
    )
    if len(known) != len(set(persons)):
        raise ExportRefused("Une personne désignée n’est pas de vos dépôts.")
    now = timezone.now()
    Party.objects.select_for_update(of=("self",), no_key=True).get(pk=party.pk)  # two calls at once count one after the other
    held = Export.objects.filter(party=party).exclude(state=ExportState.EXPIRED)
    if kind != ExportKind.UNITARY and held.exclude(kind=ExportKind.UNITARY).count() >= MOST_KEPT:
        raise ExportRefused(f"{MOST_KEPT} exports sont gardés ou attendent déjà : reprenez-les ; chacun part 90 jours après avoir été fait.")
    if kind == ExportKind.UNITARY and held.filter(kind=ExportKind.UNITARY, asked_at__gt=now - dt.timedelta(days=1)).count() >= MOST_A_DAY:
        raise ExportRefused(f"{MOST_A_DAY} exports d’une personne depuis hier : demandez un export ciblé, ou attendez demain.")
    made = Export.objects.create(
        reference=reference("X", 4, 4),
        party=party,
        kind=kind,
        persons=sorted(known),
        state=ExportState.ACKNOWLEDGED,
        asked_at=now,
        due_at=now + DUE[ExportKind(kind)],
    )
    record(by=by, action="echange.export.demande", subject=f"export:{made.reference}", kind=kind, persons=len(known))
    if kind == ExportKind.UNITARY:
        run(made)
    return made


def _rows(export: Export) -> list[Resource]:
    rows = Resource.objects.filter(establishment=export.party, current=True, erased=False).select_related("person")
    if export.persons:
        people = Resource.objects.filter(uid__in=export.persons, type="Patient", establishment=export.party).values("person")
        rows = rows.filter(person__in=people) | rows.filter(person=None, type__in=BARE)
    return list(rows.order_by("type", "pk"))


def _statements(export: Export, rows: list[Resource]) -> list[dict]:
    """What persons said to the establishment otherwise than by a deposited Consent, as Consents: the next software knows it too."""
    patients = {row.person_id: row.uid for row in rows if row.type == "Patient"}
    said = Stated.objects.filter(person__in=patients, collected_by=export.party.code).exclude(proof__startswith="dépôt ").order_by("known_at", "pk")
    return [wills.consent(one, f"Patient/{patients[one.person_id]}", name=f"volonte-{one.pk}") for one in said]


def _parts(rows: list[dict], most: int, room: int) -> list[list[dict]]:
    """A person's resources in parts that a deposit can hold: each has the patient, and the stays that the others of it lead to, so that it stands alone."""
    if len(rows) <= most and len(strict.canonical(rows)) <= room:
        return [rows]
    by_address = {comparing.address(row): row for row in rows}
    parts: list[dict[str, dict]] = [{}]
    weight = 0
    for row in rows:
        needed = _needed(row, by_address)
        fresh = [address for address in needed if address not in parts[-1]]
        size = sum(len(strict.canonical(by_address[address])) for address in fresh)
        if parts[-1] and (len(parts[-1]) + len(fresh) > most or weight + size > room):
            parts.append({})
            fresh, weight = needed, 0
            size = sum(len(strict.canonical(by_address[address])) for address in fresh)
        parts[-1] |= {address: by_address[address] for address in fresh}
        weight += size
    return [list(part.values()) for part in parts]


def _needed(row: dict, by_address: dict[str, dict]) -> list[str]:
    """The addresses of a resource and of all that it leads to among these, what is led to first."""
    found: dict[str, None] = {}
    waiting = [comparing.address(row)]
    while waiting:
        address = waiting.pop()
        if address in found or address not in by_address:
            continue
        found[address] = None
        waiting += [place for _, place, _ in bundle.references(by_address[address])]
    return list(found)[::-1]


def _transactions(contents: list[dict], name: str) -> list[dict]:
    """The resources as transactions that stand alone: those of a person stay together, with what is shared by all, within the bounds of a deposit."""
    groups, shared = comparing.files(contents)
    lots: list[list[dict]] = [[]]
    weight, room = 0, MOST_BYTES // 2 - len(strict.canonical(shared))
    for rows in (part for _, whole in sorted(groups.items()) for part in _parts(whole, BATCH - len(shared), room)):
        size = len(strict.canonical(rows))
        if lots[-1] and (len(lots[-1]) + len(rows) + len(shared) > BATCH or weight + size > room):
            lots.append([])
            weight = 0
        lots[-1] += rows
        weight += size
    return [
        {
            "resourceType": "Bundle", "type": "transaction", "identifier": {"system": "urn:belvedere:exports", "value": f"{name}-{rank}"},
            "entry": [{"fullUrl": f"{row['resourceType']}/{row['id']}", "resource": row, "request": {"method": "POST", "url": row["resourceType"]}} for row in (*shared, *lot)],
        }
        for rank, lot in enumerate(lots, 1)
    ]  # fmt: skip


class Overtaken(Exception):
    """Somebody was erased while the package was made."""


def run(export: Export) -> Export:
    """Make the package of an export, again if somebody is erased meanwhile; what cannot be taken is listed with its reason."""
    while True:
        with contextlib.suppress(Overtaken):
            return _made(export)


def _made(export: Export) -> Export:
    rows = _rows(export)
    contents = [*map(content_of, rows), *_statements(export, rows)]
    out, digests = io.BytesIO(), {}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(name: str, raw: bytes) -> None:
            digests[name] = hashlib.sha256(raw).hexdigest()
            archive.writestr(name, raw)

        for kind in sorted({content["resourceType"] for content in contents}):
            put(f"export/{kind}.ndjson", b"\n".join(strict.canonical(content) for content in contents if content["resourceType"] == kind) + b"\n")
        for rank, lot in enumerate(_transactions(contents, export.reference), 1):
            put(f"reprise/lot-{rank:04d}.json", strict.canonical(lot))
        for name, raw in _documents(contents):
            put(name, raw)
        for kind, lines in _versions(export, rows).items():
            put(f"versions/{kind}.ndjson", b"\n".join(lines) + b"\n")
        put("documentation-export.md", _GUIDE.encode())
        erased = Resource.objects.filter(establishment=export.party, current=True, erased=True).count()
        report = {
            "reference": export.reference, "establishment": export.party.finess, "kind": export.kind, "made_at": timezone.now().isoformat(), "counts": dict(Counter(content["resourceType"] for content in contents)),
            "persons": len({row.person_id for row in rows if row.person_id}), "refused": [{"count": erased, "reason": "effacées"}] if erased else [], "sha256": digests, "set": comparing.fingerprint(contents),
        }  # fmt: skip
        told = json.dumps(report, ensure_ascii=False, indent=1).encode()
        archive.writestr(REPORT, told)
        archive.writestr(
            SIGNATURE,
            json.dumps({"alg": "EdDSA", "kid": receipts.key_id(), "signature": base64.b64encode(keyring.receipt_key().sign(told)).decode()}),
        )
        archive.writestr("INDEX.HTM", _index(report))
    raw, now = out.getvalue(), timezone.now()
    with transaction.atomic():
        Party.objects.select_for_update(of=("self",), no_key=True).get(pk=export.party_id)  # an erasure waits, or was before: then it is seen
        numbers = [row.pk for row in rows]
        if any(Resource.objects.filter(pk__in=numbers[at : at + 500], erased=True).exists() for at in range(0, len(numbers), 500)):
            raise Overtaken
        export.package, export.sha256, export.report = vault.seal(raw, f"export:{export.reference}"), hashlib.sha256(raw).hexdigest(), report
        export.state, export.kept_until = ExportState.DONE, now + KEPT
        export.save()
        people = sorted({row.person_id for row in rows if row.person_id})
        # An establishment's own deposits are its to take away; the rules by which it reads them again say so, while the matrix holds them.
        opening = policy.opened(export.party, Purpose.CARE, Category.ADM, Grain.NAMED, also=DATA)
        common = {"grain": Grain.NAMED, **(opening.told if opening else {"rules": [], "matrix": policy.judge().matrix.version})}
        append(
            [
                Fact(
                    export.party.code,
                    "echange.export",
                    f"usager:{person}",
                    {
                        "purpose": "PORTABILITE",
                        "profiles": sorted({row.profile for row in rows if row.person_id == person}),
                        "reference": export.reference,
                        **common,
                    },
                )
                for person in people
            ]
            or [Fact(export.party.code, "echange.export", f"export:{export.reference}", common)]
        )
        events.raise_(topic="export-pret", establishment=export.party, focus=f"exports/{export.reference}")
    return export


def _documents(contents: list[dict]) -> Iterator[tuple[str, bytes]]:
    """The files that documents carry, as files: what their resources hold in base64 stays there too, for whoever takes them back."""
    for content in contents:
        for rank, one in enumerate(content.get("content", []) if content["resourceType"] == "DocumentReference" else []):
            held = one.get("attachment") or {}
            if held.get("data"):
                with contextlib.suppress(ValueError):
                    yield f"documents/{content['id']}-{rank}{EXTENSIONS.get(str(held.get('contentType')), '.bin')}", base64.b64decode(held["data"])


def _versions(export: Export, rows: list[Resource]) -> dict[str, list[bytes]]:
    """The earlier versions of the resources of an export, by type: what was rectified leaves too."""
    found: dict[str, list[bytes]] = {}
    people = {row.person_id for row in rows if row.person_id}
    for row in (
        Resource.objects.filter(establishment=export.party, current=False, erased=False).order_by("type", "uid", "version").iterator(chunk_size=500)
    ):
        if row.person_id in people or row.person_id is None:
            found.setdefault(row.type, []).append(strict.canonical(content_of(row)))
    return found


def _index(report: dict) -> str:
    rows = "".join(f"<tr><td>{kind}</td><td>{count}</td></tr>" for kind, count in sorted(report["counts"].items()))
    return f'<!doctype html><html lang="fr"><meta charset="utf-8"><title>Export {report["reference"]}</title><h1>Export {report["reference"]}</h1><p>Établissement {report["establishment"]}, {report["persons"]} personnes.</p><table>{rows}</table><p>Lisez documentation-export.md.</p></html>'


def taken(export: Export, *, by: str) -> bytes:
    """The package as its establishment takes it away: told to the journal. ExportRefused."""
    raw = package(export)
    note(by=by, action="echange.export.pris", subject=f"export:{export.reference}", persons=export.report.get("persons", 0), sha256=export.sha256)
    return raw


def package(export: Export) -> bytes:
    """The package. ExportRefused when it is not ready, or no longer kept."""
    if export.state != ExportState.DONE or (export.kept_until and export.kept_until < timezone.now()):
        raise ExportRefused("Cet export n’est pas prêt, ou n’est plus gardé : demandez-en un autre.")
    return vault.unseal(export.package, f"export:{export.reference}")


def contents(raw: bytes) -> list[dict]:
    """The resources of a package. `seda.PackageRefused`."""
    held = seda.members(raw)
    return [json.loads(line) for name in sorted(held) if name.startswith("export/") for line in held[name].splitlines()]


def _signed(held: dict[str, bytes]) -> None:
    """The report's signature, when it is ours: another platform's is verified by its published key (`/api/v1/receipt-keys`). `seda.PackageRefused`."""
    try:
        said = json.loads(held[SIGNATURE])
        name, signature = str(said["kid"]), base64.b64decode(said["signature"])
    except (KeyError, ValueError, TypeError) as error:
        raise seda.PackageRefused("La signature du rapport d’intégrité manque ou n’est pas lisible.") from error
    if name == receipts.key_id():
        try:
            receipts.public_key().verify(signature, held[REPORT])
        except InvalidSignature as error:
            raise seda.PackageRefused("Le rapport d’intégrité n’est plus celui qui fut signé.") from error


def lots(raw: bytes) -> list[bytes]:
    """The transactions of a package, in order, each file checked against the integrity report. `seda.PackageRefused` names the first that differs."""
    held = seda.members(raw)
    try:
        report = json.loads(held[REPORT])
        digests = dict(report["sha256"])
    except (KeyError, ValueError, TypeError) as error:
        raise seda.PackageRefused("Le rapport d’intégrité manque ou n’est pas lisible.") from error
    if unlisted := sorted(held.keys() - digests.keys() - {REPORT, SIGNATURE, "INDEX.HTM"}):
        raise seda.PackageRefused(f"{unlisted[0][:80]} : ce fichier n’est pas du rapport d’intégrité.")
    _signed(held)
    for name, digest in digests.items():
        if hashlib.sha256(held.get(name, b"")).hexdigest() != digest:
            raise seda.PackageRefused(f"{name} : l’empreinte diffère du rapport d’intégrité.")
    return [held[name] for name in sorted(held) if name.startswith("reprise/")]


def run_due() -> int:
    """Make the exports that wait; let go of those kept long enough."""
    done = leasing.each(Export.objects.filter(state=ExportState.ACKNOWLEDGED).select_related("party").order_by("asked_at"), run, most=5)
    Export.objects.filter(state=ExportState.DONE, kept_until__lt=timezone.now()).update(state=ExportState.EXPIRED, package=b"")
    return done
