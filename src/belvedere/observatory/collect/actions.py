"""Receive a flow, and settle it: the only writers of flows and of the live list.

Receiving stores the sealed bytes, then the row. Settling writes the fact file, then in one transaction the
flow's state, its file on the live list and the journal entry. Whatever dies in between, the lease runs out
and another worker starts again; a file that was not listed does not exist.
"""

import datetime as dt
import hashlib
import secrets

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from belvedere.engine.b2.controls import control, refused
from belvedere.engine.b2.envelope import open_sealed
from belvedere.engine.b2.findings import B2Error, Finding, finding
from belvedere.engine.b2.lines import read_lines
from belvedere.engine.b2.records import Records, frame
from belvedere.engine.warehouse import facts, files
from belvedere.observatory.collect import vault
from belvedere.observatory.collect.models import COUNTED, SETTLED, DataFile, Flow, State
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Group, Member

LEASE = dt.timedelta(minutes=5)
MAX_TRIES = 5


def receive(*, group: Group, sealed: bytes, channel: str, file_name: str) -> Flow:
    """Take in a sealed flow; its row is queued when this returns. The clear content is not looked at here."""
    name = f"{secrets.token_hex(16)}.p7m"
    vault.write_durably(vault.sealed_path(name), sealed)
    with transaction.atomic():
        flow = Flow.objects.create(
            group=group, channel=channel, file_name=file_name[:120], received_at=timezone.now(), sealed_name=name, sealed_size=len(sealed)
        )
        record(by=f"groupe:{group.pk}", action="flux.recu", subject=f"flux:{flow.pk}", channel=channel, size=len(sealed))
    return flow


@transaction.atomic
def claim() -> Flow | None:
    """Lease the oldest waiting flow, or one whose worker died; None when there is nothing to do."""
    now = timezone.now()
    waiting = Flow.objects.filter(Q(state=State.RECEIVED) | Q(state=State.RUNNING, lease_until__lt=now))
    flow = waiting.order_by("id").select_for_update(skip_locked=True, of=("self",)).first()
    if flow is None:
        return None
    flow.state, flow.lease_until, flow.tries = State.RUNNING, now + LEASE, flow.tries + 1
    flow.save(update_fields=["state", "lease_until", "tries"])
    return flow


def settle(flow: Flow) -> Flow:
    """Control a leased flow, keep its facts or refuse it, and write its receipt."""
    try:
        sealed = vault.sealed_path(flow.sealed_name).read_bytes()
    except FileNotFoundError:
        fresh = Flow.objects.get(pk=flow.pk)
        if fresh.state in SETTLED:
            return fresh  # another worker settled it after our lease ran out
        raise
    try:
        clear = open_sealed(sealed, vault.reception_key(vault.keys_dir()))
        records = frame(clear)
        # Of the records, not of the bytes: the same flow with other line ends is the same flow.
        flow.content_hash = hashlib.sha256(records.view.tobytes()).hexdigest()
        flow.records = len(records)
        flow.software = bytes(records.view[0, 91:128]).decode("ascii", "replace").strip()
        findings = control(records)
        member = _sender(records, flow.group)
        if member is None:
            findings.insert(0, finding("P601", record=1, position="6-19"))
    except B2Error as error:
        return _finish(flow, None, [error.finding], None)
    if refused(findings) or member is None:
        return _finish(flow, member, findings, None)
    already = Flow.objects.filter(member=member, content_hash=flow.content_hash, state__in=COUNTED).first()
    if already:
        flow.duplicate_of = already
        return _finish(flow, member, findings, None)
    return _finish(flow, member, findings, records)


def give_up(flow: Flow) -> Flow:
    """Refuse a flow that could not be treated after several tries, so that its sender hears of it."""
    return _finish(flow, None, [finding("X901")], None)


def _sender(records: Records, group: Group) -> Member | None:
    """The group's entity that bills, told by record 1; None when it is not the group's, or records disagree."""
    numbers = set(records.number("1", "ps_no").tolist())
    if len(numbers) != 1:
        return None
    return Member.objects.filter(group=group, finess=numbers.pop()).first()


def _finish(flow: Flow, member: Member | None, findings: list[Finding], records: Records | None) -> Flow:
    flow.member, flow.findings = member, [item.as_dict() for item in findings]
    made: DataFile | None = None
    if records is not None and member is not None:
        lines = read_lines(records)
        table = facts.build(lines, keys=vault.pseudonym_keys(vault.keys_dir()), member_id=member.pk, flow_id=flow.pk)
        name = f"{flow.pk // 1000:06d}/{flow.pk}-{flow.tries}.parquet"
        size = files.write(table, vault.facts_path(name))
        made = DataFile(flow=flow, member=member, name=name, rows=len(lines), size=size)
        flow.invoices, flow.lines = lines.invoices, len(lines)
        flow.amount_billed = int(lines.columns["amount_billed"].sum())
        flow.amount_amo = int(lines.columns["amount_amo"].sum())
        if len(lines):
            periods = table["period"].to_pylist()
            flow.period_from, flow.period_to = min(periods), max(periods)
    flow.state = State.REFUSED
    if flow.duplicate_of_id:
        flow.state = State.DUPLICATE
    elif made:
        flow.state = State.REMARKS if findings else State.ACCEPTED
    flow.settled_at, tries = timezone.now(), flow.tries
    try:
        with transaction.atomic():
            mine = Flow.objects.select_for_update(of=("self",)).filter(pk=flow.pk, state=State.RUNNING, tries=tries)
            if not mine.exists():
                if made:
                    vault.facts_path(made.name).unlink(missing_ok=True)
                return Flow.objects.get(pk=flow.pk)  # the lease ran out and another worker settled it
            flow.lease_until = None
            flow.save()
            if made:
                made.save()
            record(
                by="reception", action=f"flux.{flow.state}", subject=f"flux:{flow.pk}", lines=flow.lines,
                findings=[f"{item.code}@{item.record}" for item in findings][:50],
            )  # fmt: skip
    except IntegrityError:
        # The same content was counted by another worker meanwhile: the constraint decided.
        vault.facts_path(made.name).unlink(missing_ok=True) if made else None
        flow.duplicate_of = Flow.objects.filter(member=member, content_hash=flow.content_hash, state__in=COUNTED).first()
        if flow.duplicate_of is None:
            raise
        flow.invoices = flow.lines = flow.amount_billed = flow.amount_amo = 0
        return _finish(flow, member, findings, None)
    vault.sealed_path(flow.sealed_name).unlink(missing_ok=True)
    return flow
