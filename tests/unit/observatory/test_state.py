"""What a monitoring tool reads: true figures, alarms that ring for what they say, no name in them."""

import datetime as dt
import json

from django.utils import timezone

from belvedere.cli import main
from belvedere.engine.b2.envelope import seal
from belvedere.observatory import state
from belvedere.observatory.collect import keyring, reception, worker
from belvedere.observatory.collect.models import DataFile, Flow
from belvedere.observatory.journal import sealing
from tests.flows import a_file


def test_figures_are_those_of_the_database_and_nothing_rings_when_all_is_well(groups, capsys):
    reception.receive(group=groups[0], sealed=seal(a_file(), keyring.certificate()), channel="api", file_name="f")
    assert state.figures()["flows_waiting"] == 1
    worker.drain()
    sealing.create_key()
    sealing.seal()
    found = state.figures()
    live = DataFile.objects.get()
    assert (found["flows_waiting"], found["files"], found["lines"], found["bytes"]) == (0, 1, live.rows, live.size)
    assert found["journal_unsigned_seconds"] == 0 and state.alarms(found) == []
    assert main(["status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["alarms"] == [] and groups[0].name not in str(told)
    assert main(["status", "--metrics"]) == 0
    text = capsys.readouterr().out
    assert f"belvedere_lines {live.rows}" in text and text.endswith("# EOF\n")


def test_a_flow_that_waits_and_an_unsigned_journal_ring(groups, capsys):
    reception.receive(group=groups[0], sealed=seal(a_file(), keyring.certificate()), channel="api", file_name="f")
    late = timezone.now() + dt.timedelta(minutes=20)
    names = {alarm.name for alarm in state.alarms(state.figures(late))}
    assert {"file", "journal"} <= names
    Flow.objects.update(received_at=timezone.now() - dt.timedelta(minutes=20))
    assert main(["status"]) == 2 and "traitement" in capsys.readouterr().out
