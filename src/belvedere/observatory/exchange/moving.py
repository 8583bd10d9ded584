"""A change of software, checked file by file: what the new software holds is compared with what the old one had deposited. Nothing is stored of it.

It is taken up again where it was: each lot of the new software updates the files that it holds, in any order, as often as wanted."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from belvedere.engine.exchange import comparing, rules
from belvedere.engine.exchange.rules import Remark
from belvedere.engine.exchange.seda import PackageRefused
from belvedere.observatory.exchange import intake, naming, portability
from belvedere.observatory.exchange.models import Export, ExportState, FileState, Move, MoveFile, MoveState, Party, Resource
from belvedere.observatory.journal.actions import record
from belvedere.observatory.tokens import reference


class MoveRefused(Exception):
    """The step cannot be taken; says why, in French."""


@dataclass(frozen=True)
class Taken:
    """What a lot said: files that are the same, that differ, persons who were not in the export; or what refuses the lot."""

    same: int = 0
    differs: int = 0
    strangers: int = 0
    remarks: tuple[Remark, ...] = ()


@transaction.atomic
def start(*, party: Party, software: str, by: str) -> Move:
    """Open a change of software: a full export is made at once, and each person in it is a file to find again. MoveRefused."""
    name = _plain(software, 80)
    if not name:
        raise MoveRefused("Nommez le nouveau logiciel.")
    Party.objects.select_for_update(of=("self",), no_key=True).get(pk=party.pk)  # two starts at once come one after the other
    if Move.objects.filter(party=party, state=MoveState.OPEN).exists():
        raise MoveRefused("Un changement de logiciel est déjà en cours : terminez-le, ou abandonnez-le.")
    export = portability.run(portability.ask(party=party, kind="massif", persons=[], by=by))
    if not export.report["persons"]:
        raise MoveRefused("Vous n’avez encore rien déposé : il n’y a pas de dossier à retrouver.")
    try:
        with transaction.atomic():
            move = Move.objects.create(
                reference=reference("C", 4, 4), party=party, export=export, old=party.software, new=name, opened_at=timezone.now()
            )
    except IntegrityError as error:
        raise MoveRefused("Un changement de logiciel est déjà en cours : terminez-le, ou abandonnez-le.") from error
    held, _ = _exported(export)
    people = dict(Resource.objects.filter(establishment=party, type="Patient", current=True, erased=False).values_list("uid", "person"))
    files: dict[int, list[str]] = {}
    for address in sorted(filter(None, held)):
        person = people.get(address.partition("/")[2])
        if person is not None:  # erased since the export was made
            files.setdefault(person, []).append(address)
    MoveFile.objects.bulk_create(
        [
            MoveFile(move=move, person_id=person, address=first, also=also, resources=sum(len(held[address]) for address in (first, *also)))
            for person, (first, *also) in files.items()
        ]
    )
    record(by=by, action="echange.changement.ouvert", subject=f"changement:{move.reference}", export=export.reference, files=move.files.count())
    return move


def _plain(text: str, most: int) -> str:
    """What somebody typed, on one line. MoveRefused for what cannot be written."""
    said = " ".join(text.split())[:most]
    if not said.isprintable():
        raise MoveRefused("Ce texte contient des caractères qui ne s’affichent pas : écrivez-le de nouveau.")
    return said


def _exported(export: Export) -> tuple[dict[str, list[Mapping]], list[Mapping]]:
    """(resources of each patient by its address, what is shared by all) of the export of a change. MoveRefused when it can no longer be read."""
    try:
        return comparing.files(portability.contents(portability.package(export)))
    except portability.ExportRefused as error:
        raise MoveRefused(
            "L’export de départ n’est plus gardé (90 jours, ou une personne effacée) : abandonnez ce changement, puis commencez-en un autre."
        ) from error
    except PackageRefused as error:
        raise MoveRefused(f"L’export de départ ne peut pas être relu ({error}) : dites-le à l’exploitant.") from error


def _opened(move: Move) -> Move:
    found = Move.objects.select_for_update(of=("self",), no_key=True).select_related("party", "export").get(pk=move.pk)
    if found.state != MoveState.OPEN:
        raise MoveRefused("Ce changement de logiciel n’est plus en cours.")
    return found


@transaction.atomic
def take(move: Move, raw: bytes, *, by: str) -> Taken:
    """Compare a lot of the new software, a TDDUI transaction, with the export. The rules of a deposit are passed first; nothing of the lot is kept. MoveRefused."""
    found = _opened(move)
    _, deposited, remarks = intake.examine(found.party, raw, alone=True)
    if rules.refuses(remarks):
        return Taken(remarks=tuple(remarks))
    known = naming.found(token for entry in deposited.of_type("Patient") for token in naming.tokens(entry, found.party))
    people = {
        f"Patient/e{entry.place}": next((known[token] for token in naming.tokens(entry, found.party) if token in known), None)
        for entry in deposited.of_type("Patient")
    }
    expected, before = _exported(found.export)
    given, after = comparing.files(comparing.plain(deposited))
    shared = comparing.named(before), comparing.named(after)
    files = {row.person_id: row for row in found.files.select_for_update(of=("self",))}
    strangers, touched, held = 0, [], dict[int, list[Mapping]]()
    for address, rows in given.items():
        person = people.get(address)
        if person is None or person.pk not in files:
            strangers += bool(address)
        else:
            held.setdefault(person.pk, []).extend(rows)
    for number, rows in held.items():
        row = files[number]
        differs = comparing.gaps([one for address in (row.address, *row.also) for one in expected.get(address, ())], rows, *shared)
        row.state = FileState.DIFFERS if differs else FileState.SAME
        row.gaps, row.compared_at = [asdict(gap) for gap in differs], timezone.now()
        touched.append(row)
    MoveFile.objects.bulk_update(touched, ["state", "gaps", "compared_at"])
    found.lots += 1
    found.strangers += strangers
    found.save(update_fields=["lots", "strangers"])
    told = Counter(row.state for row in touched)
    record(
        by=by,
        action="echange.changement.lot",
        subject=f"changement:{found.reference}",
        same=told["same"],
        differs=told["differs"],
        strangers=strangers,
    )
    return Taken(told["same"], told["differs"], strangers)


@transaction.atomic
def close(move: Move, *, by: str, reason: str = "", drop: bool = False) -> Move:
    """End a change of software. Files that are awaited or differ ask for a reason; the establishment's software becomes the new one unless it is dropped. MoveRefused."""
    found = _opened(move)
    counts = progress(found)
    left = counts["awaited"] + counts["differs"]
    said = _plain(reason, 300)
    if left and not said and not drop:
        raise MoveRefused(
            f"{left} dossier{'s ne sont pas identiques' if left > 1 else ' n’est pas identique'} : dites ce qui le justifie, ou contrôlez d’autres lots."
        )
    found.state, found.closed_at, found.reason = (MoveState.DROPPED if drop else MoveState.DONE), timezone.now(), said
    found.save(update_fields=["state", "closed_at", "reason"])
    if drop:  # nothing will be compared with it any more
        Export.objects.filter(pk=found.export_id).update(state=ExportState.EXPIRED, package=b"")
    else:
        Party.objects.filter(pk=found.party_id).update(software=found.new)
    record(by=by, action="echange.changement.termine", subject=f"changement:{found.reference}", state=found.state, **counts)
    return found


def progress(move: Move) -> dict[str, int]:
    """Files by state: awaited, same, differs."""
    held = Counter(move.files.values_list("state", flat=True))
    return {state: held[state] for state in FileState.values}


def names(move: Move) -> Mapping[str, str]:
    """How the establishment knows each file: its own number, as its package says it; read in memory, for its own eyes. Empty when the package is no longer kept."""
    try:
        rows = portability.contents(portability.package(Export.objects.get(pk=move.export_id)))
    except (portability.ExportRefused, PackageRefused):
        return {}
    return {comparing.address(row): _number(row) for row in rows if row["resourceType"] == "Patient"}


def _number(patient: Mapping) -> str:
    own = [str(item.get("value", "")) for item in patient.get("identifier", []) if not naming.is_ins(item)]
    return own[0] if own else ""
