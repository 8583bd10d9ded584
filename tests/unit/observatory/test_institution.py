"""Members, permissions, own facts, the journal and the gate."""

import numpy as np
import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction

from belvedere.observatory.accounts.models import Role, User
from belvedere.observatory.accounts.permissions import ALLOWED, Action, can, check
from belvedere.observatory.collect import vault
from belvedere.observatory.collect.models import DataFile
from belvedere.observatory.journal import guards
from belvedere.observatory.journal.actions import broken_at, record
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.members.actions import issue_sender_key, sender_of
from belvedere.observatory.members.models import SenderKey
from belvedere.observatory.members.own import OwnFacts
from belvedere.observatory.objections.models import Objection
from belvedere.observatory.publication import actions, audit, frozen, gate
from belvedere.observatory.publication.models import RELEASE_TRANSITIONS, Release, ReleaseState
from tests.flows import sector
from tests.members import send


def send_everything(groups):
    send(groups, sector(), range(3))


def test_every_action_has_a_row_and_nobody_may_do_all():
    assert set(ALLOWED) == set(Action)
    for role in Role:
        rights = {action for action, roles in ALLOWED.items() if role in roles}
        assert rights and rights < set(Action)
    assert not can(None, Action.SEE_MARKET)


def test_permission_denied_for_the_others(federations):
    operator = User.objects.create_user("o@test.fr", "x", role=Role.OPERATOR)
    assert can(operator, Action.SEE_OPERATION)
    with pytest.raises(PermissionDenied):
        check(operator, Action.SEE_MARKET)
    with pytest.raises(PermissionDenied):
        OwnFacts.of(operator)


def test_a_member_without_group_cannot_exist(db):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("m@test.fr", "x", role=Role.MEMBER_ADMIN)


def test_sender_tokens_are_kept_as_hashes_and_can_be_revoked(groups):
    token = issue_sender_key(group=groups[0], label="test", by="test")
    assert sender_of(token).group == groups[0]
    assert sender_of(token + "x") is None
    key = SenderKey.objects.get()
    assert token not in str(vars(key))
    SenderKey.objects.update(revoked_at=key.created_at)
    assert sender_of(token) is None


def test_own_facts_hold_one_group_only(groups):
    send_everything(groups)
    for group in groups:
        user = User.objects.create_user(f"{group.pk}@test.fr", "x", role=Role.MEMBER_ADMIN, whole_group=True, group=group)
        own = OwnFacts.of(user)
        rows = sum(DataFile.objects.filter(member__group=group).values_list("rows", flat=True))
        assert sum(own.figures().measure("lines", period=month) for month in own.figures().months) == rows
        assert all(flow.group_id == group.pk for flow in own.flows())
        other = own.flow(own.flows()[0].pk)
        assert other is not None
        stranger = next(f for f in range(1, 40) if f not in {flow.pk for flow in own.flows()})
        assert own.flow(stranger) is None


def test_an_objection_hides_a_person_in_the_next_query(groups):
    import pyarrow.parquet as pq

    send_everything(groups)
    user = User.objects.create_user("m@test.fr", "x", role=Role.MEMBER_ADMIN, whole_group=True, group=groups[0])
    before = OwnFacts.of(user).figures()
    name = DataFile.objects.filter(member__group=groups[0]).first().name
    Objection.objects.create(pseudonym=pq.read_table(vault.facts_path(name))["patient"][0].as_py())
    after = OwnFacts.of(user).figures()
    total = lambda figures: sum(figures.measure("lines", period=month) for month in figures.months)  # noqa: E731
    assert total(after) < total(before)


def test_the_journal_needs_a_transaction_and_shows_tampering(transactional_db):
    with pytest.raises(RuntimeError):
        record(by="x", action="y", subject="z")
    for number in range(4):
        with transaction.atomic():
            record(by="x", action="y", subject=str(number), count=number)
    assert broken_at() is None
    guards.lift(connection)
    Entry.objects.filter(pk=2).update(detail={"count": 9})
    guards.install(connection)
    assert broken_at() == 2


def make_release(monkeypatch):
    monkeypatch.setenv("BELVEDERE_GATE_GROUPS", "3")
    monkeypatch.setenv("BELVEDERE_GATE_LINES", "100")
    monkeypatch.setenv("BELVEDERE_GATE_MEMBERS", "3")
    monkeypatch.setenv("BELVEDERE_GATE_PATIENTS", "50")
    months = ["2025-01", "2025-02", "2025-03"]
    return actions.compute_release(label="2025-03", months=months, by="test", seed=1)


def test_a_release_goes_out_with_three_words_only(groups, federations, monkeypatch):
    send_everything(groups)
    release = make_release(monkeypatch)
    assert release.leaks == []
    assert frozen.current() is None
    for rank, federation in enumerate(federations):
        release = gate.decide(release=release, federation=federation, by=None)
        assert (release.state == ReleaseState.PUBLISHED) == (rank == 2)
    with pytest.raises(actions.GateClosed):
        gate.decide(release=release, federation=federations[0], by=None)
    opened = frozen.current()
    assert opened is not None and opened.label == "2025-03"
    assert opened.cell(territory="FR", period="2025-01", sex="1") is None


def test_the_gate_stays_closed_below_its_thresholds_or_with_a_leak(groups, federations, monkeypatch):
    send_everything(groups)
    release = make_release(monkeypatch)
    monkeypatch.setenv("BELVEDERE_GATE_GROUPS", "50")
    with pytest.raises(actions.GateClosed, match="50 groupes au moins"):
        gate.decide(release=release, federation=federations[0], by=None)
    monkeypatch.setenv("BELVEDERE_GATE_GROUPS", "3")
    Release.objects.update(leaks=["x"])
    release.refresh_from_db()
    with pytest.raises(actions.GateClosed, match="fuites"):
        gate.decide(release=release, federation=federations[0], by=None)


def test_masked_cells_carry_no_value_and_the_audit_fails_when_one_is_opened(groups, monkeypatch):
    send_everything(groups)
    release = make_release(monkeypatch)
    opened = frozen.opened(release)
    assert any(cell is None for cell in opened.cells.values())
    assert audit.replay(release) == []
    from belvedere.engine.indicators.lattice import release_lattice

    lattice = release_lattice(release.months)
    masked = np.array([opened.cells[key] is None for key in lattice.keys])
    # A relation with exactly two masked cells: opening one gives the other away.
    owner = lattice.relation_of_child()
    count = np.bincount(owner, weights=masked[lattice.children], minlength=lattice.relations) + masked[lattice.parents]
    relation = int(np.flatnonzero(count == 2)[0])
    cell = next(int(c) for c in lattice.members(relation) if masked[c])
    assert audit.replay(release, unmasked=(lattice.keys[cell],))


def test_a_release_file_that_changed_is_not_served(groups, data_folder, monkeypatch):
    send_everything(groups)
    release = make_release(monkeypatch)
    path = data_folder / frozen.FOLDER / release.file_name
    path.write_bytes(path.read_bytes() + b"x")
    frozen._opened.cache_clear()
    with pytest.raises(frozen.TamperedRelease):
        frozen.opened(release)


def test_a_release_is_never_computed_twice_under_one_label(groups, monkeypatch):
    send_everything(groups)
    release = make_release(monkeypatch)
    with pytest.raises(actions.GateClosed, match="existe déjà"):
        make_release(monkeypatch)
    assert frozen.opened(release).label == release.label


def test_release_states_are_complete():
    assert set(RELEASE_TRANSITIONS) == set(ReleaseState.values)
