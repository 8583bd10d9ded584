"""Compaction: fewer files, the same figures, invoices still counted once, nobody in the way."""

import datetime as dt
import json
import os

import pyarrow.parquet as pq
import pytest
from django.utils import timezone

from belvedere.cli import main
from belvedere.engine.b2.envelope import seal
from belvedere.engine.warehouse import files
from belvedere.observatory.accounts.models import Role
from belvedere.observatory.collect import compaction, keyring, queue, reception, sweeping, vault, worker
from belvedere.observatory.collect.models import DataFile, Flow, State
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.members.own import OwnFacts
from tests.flows import a_file, sector
from tests.members import send
from tests.people import person

LATER = dt.timedelta(hours=2)


@pytest.fixture
def sent(groups, monkeypatch):
    """Three months of the first provider: a quarter of three files."""
    monkeypatch.setattr(compaction, "LEAST", 2)
    send(groups, sector(), range(3), [0])
    return groups[0]


def test_a_quarter_becomes_one_sorted_file_and_no_figure_changes(sent):
    user = person(Role.MEMBER_ADMIN, group=sent)
    before, months = OwnFacts.of(user).figures(), OwnFacts.of(user).months_by_member()
    live = DataFile.objects.filter(retired_at=None).count()
    done = compaction.run(timezone.now() + LATER)
    assert (done.merged, done.made, done.conflicts) == (live, 1, 0)
    made = DataFile.objects.get(retired_at=None)
    table = pq.read_table(vault.facts_path(made.name))
    assert made.rows == len(table) and made.size == vault.facts_path(made.name).stat().st_size
    assert table.equals(table.sort_by(compaction.ORDER)), "a month, then a bucket of patients, lie together"
    after = OwnFacts.of(user).figures()
    assert after == before and after is not before
    assert OwnFacts.of(user).months_by_member() == months, "completeness looks at the flows, not at their files"
    assert Entry.objects.filter(action="faits.fondus").count() == 1
    assert compaction.run(timezone.now() + LATER).merged == 0, "nothing is merged twice"


def test_what_is_sorted_is_found_by_the_footers(sent, monkeypatch):
    """Row groups of a month and a few buckets: a page and a purge skip the others."""
    monkeypatch.setattr(files, "ROW_GROUP", 200)
    compaction.run(timezone.now() + LATER)
    footer = pq.ParquetFile(vault.facts_path(DataFile.objects.get(retired_at=None).name)).metadata
    column = footer.schema.names.index("period")
    spans = [footer.row_group(rank).column(column).statistics for rank in range(footer.num_row_groups)]
    assert footer.num_row_groups > 3 and all(footer.row_group(rank).num_rows <= 200 for rank in range(footer.num_row_groups))
    assert sum(span.min != span.max for span in spans) <= 2, "two row groups at most lie astride two of the three months"


def test_files_astride_two_quarters_are_merged_too_within_the_days_of_a_number(sent):
    row = lambda first, last, name: DataFile(pk=name, member_id=1, first_day=first, last_day=last)  # noqa: E731
    groups = compaction._together([row(0, 60, 1), row(20, 90, 2), row(30, 95, 3), row(40, 130, 4)])
    assert [[one.pk for one in rows] for rows in groups] == [[1, 2], [3], [4]]
    assert all(max(one.last_day for one in rows) - min(one.first_day for one in rows) <= compaction.SAME_PERIOD_DAYS for rows in groups)
    # Care of the end of the quarter before in each file: none is of one quarter, and they are merged.
    edge = DataFile.objects.filter(retired_at=None).order_by("first_day").first().first_day - 5
    DataFile.objects.filter(retired_at=None).update(first_day=edge, last_day=edge + 80)
    before = sum(DataFile.objects.filter(retired_at=None).values_list("rows", flat=True))
    done = compaction.run(timezone.now() + LATER)
    assert done.made == 1 and DataFile.objects.get(retired_at=None).rows == before


def test_what_was_merged_is_still_counted_once_and_replaced(sent):
    compaction.run(timezone.now() + LATER)
    lines = DataFile.objects.get(retired_at=None).rows
    reception.receive(group=sent, sealed=seal(a_file(0, 1), keyring.certificate()), channel="api", file_name="encore")
    again = worker.settle(queue.claim())
    assert again.state == State.DUPLICATE
    assert sum(DataFile.objects.filter(retired_at=None).values_list("rows", flat=True)) == lines


def test_flows_under_way_and_fresh_ones_are_left_alone(sent):
    assert compaction.candidates() == [], "the last hour's flows wait"
    first = Flow.objects.order_by("pk").first()
    Flow.objects.filter(pk=first.pk).update(settled_at=None, state=State.RUNNING)
    assert compaction.candidates(timezone.now() + LATER) == [], "an earlier flow may still replace what they hold"


def test_a_file_that_changes_meanwhile_stops_the_merge(sent, monkeypatch):
    rows = compaction.candidates(timezone.now() + LATER)[0]
    written = compaction.files.write

    def overtaken(table, path):
        DataFile.objects.filter(pk=rows[0].pk).update(retired_at=timezone.now())
        return written(table, path)

    monkeypatch.setattr(compaction.files, "write", overtaken)
    done = compaction.Compacted()
    assert compaction.merge(rows, done) is None and done.conflicts == 1
    assert not DataFile.objects.filter(merged_into__isnull=False).exists()
    assert sweeping.sweep(grace=0) >= 0 and all(vault.facts_path(row.name).exists() for row in rows[1:])


def test_what_was_merged_stays_for_its_readers_and_goes_later(sent):
    names = list(DataFile.objects.filter(retired_at=None).values_list("name", flat=True))
    for name in names:
        path = vault.facts_path(name)
        os.utime(path, (0, 0))  # written long ago
    compaction.run(timezone.now() + LATER)
    sweeping.sweep()
    assert all(vault.facts_path(name).exists() for name in names), "a reader that listed them still finds them"
    sweeping.sweep(grace=0)
    assert not any(vault.facts_path(name).exists() for name in names)


def test_an_interruption_after_the_commit_loses_nothing(sent, monkeypatch):
    rows = compaction.candidates(timezone.now() + LATER)[0]

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    kept = compaction.transaction.Atomic.__exit__

    def leaving(self, *given):
        kept(self, *given)
        interrupted()

    with monkeypatch.context() as patch:
        patch.setattr(compaction.transaction.Atomic, "__exit__", leaving)
        with pytest.raises(KeyboardInterrupt):
            compaction.merge(rows, compaction.Compacted())
    made = DataFile.objects.get(retired_at=None)
    assert vault.facts_path(made.name).exists() and made.rows == sum(row.rows for row in rows)


def test_the_command_says_what_it_did(sent, capsys):
    assert main(["maintain", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["files"] == 3 and told["lines"] > 0 and 0 < told["bytes_per_line"] < 500
