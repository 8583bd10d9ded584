"""Settle a flow: opened, controlled and counted in one pass, then one transaction for everything it changes.

The fact file is written and synced first, then what the flow changes is committed (`committing`). Whatever dies in between, the lease runs
out and another worker starts again; a file that was not listed does not exist.
"""

import mmap
from collections.abc import Callable, Iterator
from pathlib import Path

from django.utils import timezone

from belvedere.engine.b2.envelope import open_envelope
from belvedere.engine.b2.findings import B2Error, finding
from belvedere.engine.b2.unwrap import Clear
from belvedere.engine.nomenclature import lpp_reference
from belvedere.engine.services import frontend
from belvedere.engine.warehouse import files
from belvedere.engine.warehouse.intake import Examined, examine
from belvedere.engine.warehouse.returns import examine_return, looked_at
from belvedere.observatory.collect import committing, keyring, vault
from belvedere.observatory.collect.committing import Treated
from belvedere.observatory.collect.models import SETTLED, DataFile, Flow, ReturnFile
from belvedere.observatory.collect.past import Conflict, History
from belvedere.observatory.collect.queue import Heartbeat
from belvedere.observatory.environment import data_dir, read
from belvedere.observatory.objections import register


def treat(flow: Flow, beat: Callable[[], None]) -> Treated:
    """Control a leased flow and write its facts, synced and on no list yet. `beat` is called between two pieces of the file. Conflict and
    LeaseLost are for the worker to handle; everything that is wrong with the flow itself ends in its findings."""
    history = History(flow)
    name = f"{flow.pk // 1000:06d}/{flow.pk}-{flow.tries}.parquet"
    path = vault.facts_path(name)
    writer = files.Writer(path)
    try:
        found, test = _examine(flow, history, writer, beat)
        # Lines of persons who objected were counted for the receipt, which tells nobody apart, and not kept.
        made = None
        if found.refused or found.member is None or flow.test or test or found.test or not writer.rows:
            writer.drop()
        else:
            size = writer.close()
            made = ReturnFile(flow=flow, member=history.member, name=name, rows=writer.rows, size=size) if found.returned else DataFile(
                flow=flow, member=history.member, name=name, rows=writer.rows, size=size, first_day=found.first, last_day=found.last,
                low_number=found.low, high_number=found.high,
            )  # fmt: skip
        flow.test = flow.test or test or found.test
        return Treated.of(flow, history, found, made)
    except BaseException:
        writer.drop()
        for left in (path, *path.parent.glob(f"{path.stem}-r*.parquet")):  # this try's alone: the next one has other names
            left.unlink(missing_ok=True)
        raise


def settle(flow: Flow) -> Flow:
    """Treat a leased flow, keep its facts or refuse it, and write its receipt."""
    with Heartbeat(flow) as heartbeat:
        treated = treat(flow, lambda: heartbeat.check(flow))
        if committing.commit([treated]):
            raise Conflict
    return flow


def _examine(flow: Flow, history: History, writer: files.Writer, beat: Callable[[], None]) -> tuple[Examined, bool]:
    path = vault.sealed_path(flow.sealed_name)
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        if Flow.objects.get(pk=flow.pk).state in SETTLED:
            raise Conflict from None  # another worker settled it after our lease ran out
        raise
    with stream:
        sealed = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    flow.algorithm = frontend.algorithm(sealed)[:12]
    try:
        envelope = open_envelope(sealed, keyring.reception(), timezone.now())
    except B2Error as error:
        return Examined(findings=[error.finding], refused=True), False
    objections = register.standing()
    clear = Clear(envelope, int(read("BELVEDERE_MAX_CLEAR_MB")) * 1_048_576)

    def chunks() -> Iterator[bytes]:
        for piece in clear.chunks():
            beat()
            yield piece

    returned, pieces = looked_at(chunks())
    if returned:
        found = examine_return(pieces, flow_id=flow.pk, identify=history.identify, write=writer.write)
    else:
        found = examine(
            pieces, keys=keyring.pseudonym_keys(), flow_id=flow.pk, identify=history.identify, past=history.past,
            write=lambda table: writer.write(objections.without(table)),
            policy=flow.group.refusal or read("BELVEDERE_REFUSAL"), reference=reference(),
        )  # fmt: skip
    found.findings = [*clear.remarks, *map(clear.told, found.findings)]
    return found, clear.test


_references: dict[tuple[Path, float], lpp_reference.LppReference] = {}


def reference() -> lpp_reference.LppReference:
    """The imported LPP, or the shipped one; read again when another is imported."""
    path = data_dir() / "nomenclature" / "lpp.parquet"
    if not path.exists():
        return lpp_reference.shipped()
    key = (path, path.stat().st_mtime)
    if key not in _references:
        _references.clear()
        _references[key] = lpp_reference.load(path)
    return _references[key]


def give_up(flow: Flow) -> Flow:
    """Refuse a flow that could not be treated after several tries, so that its sender hears of it."""
    if committing.commit([Treated.of(flow, History(flow), Examined(findings=[finding("X901")], refused=True), None)]):
        raise Conflict
    return flow
