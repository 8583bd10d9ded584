"""The journal in the database: appended only, sealed, exported, proved, time-stamped."""

import asyncio
import base64
import datetime as dt
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from asn1crypto import tsp
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from belvedere.cli import main
from belvedere.engine.evidence import archive, stamps
from belvedere.observatory import stamping
from belvedere.observatory.journal import guards, sealing
from belvedere.observatory.journal.actions import Fact, append, broken_at, note
from belvedere.observatory.journal.models import Entry, Node, TreeHead


def fill(count: int, told: str = "x") -> None:
    with transaction.atomic():
        append([Fact("personne:1", "essai", f"objet:{rank}", {"dit": told}) for rank in range(count)])


def test_entries_are_numbered_without_hole_whatever_is_rolled_back(db, data_folder):
    fill(2)
    with transaction.atomic():
        fill(3)
        transaction.set_rollback(True)
    fill(1)
    assert list(Entry.objects.values_list("pk", flat=True)) == [1, 2, 3]
    assert broken_at() is None


@pytest.mark.parametrize("table", sorted(guards.TABLES))
def test_the_database_refuses_to_change_what_is_written(transactional_db, data_folder, table):
    fill(300)
    sealing.seal()
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {'root' if table.endswith('head') else 'digest'} = 'x'"):
        with pytest.raises(DatabaseError, match="ne se modifie pas"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert Entry.objects.count() == 300
    replace = "INSERT OR REPLACE INTO" if connection.vendor == "sqlite" else "TRUNCATE TABLE"
    rest = f"SELECT * FROM {table}" if connection.vendor == "sqlite" else ""
    with pytest.raises(DatabaseError, match="ne se modifie pas"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{replace} {table} {rest}")


def test_nothing_is_signed_over_a_journal_that_was_rewritten(transactional_db, data_folder):
    fill(3)
    sealing.seal()
    guards.lift(connection)
    Entry.objects.filter(pk=3).update(digest="0" * 64)
    guards.install(connection)
    fill(1)
    assert broken_at() == 3
    with pytest.raises(sealing.Rewritten):
        sealing.seal()


def test_heads_are_due_by_number_or_by_age(db, data_folder):
    assert sealing.seal() is None and not sealing.due()
    fill(1)
    assert sealing.due()
    first = sealing.seal()
    assert not sealing.due() and sealing.seal() == first
    fill(1)
    assert not sealing.due() and sealing.due(timezone.now() + dt.timedelta(seconds=61))
    fill(999)
    assert sealing.due()


def test_an_export_verifies_offline_and_an_altered_byte_is_named(db, data_folder, tmp_path, capsys):
    for _ in range(4):
        fill(150)
        sealing.seal()
    note(by="personne:2", action="lu", subject="adhesion:1")
    file = tmp_path / "journal.jsonl"
    assert main(["journal", "export", "--data", str(data_folder), "--out", str(file)]) == 0
    assert main(["journal", "verify", str(file)]) == 0
    assert "601 entrées, 5 têtes signées" in capsys.readouterr().out
    assert file.stat().st_mode & 0o077 == 0
    lines = file.read_text().splitlines()
    rank = next(rank for rank, line in enumerate(lines) if '"id": 217,' in line)
    file.write_text("\n".join([*lines[:rank], lines[rank].replace('"essai"', '"essaj"'), *lines[rank + 1 :]]))
    assert main(["journal", "verify", str(file)]) == 1
    assert "entrée 217" in capsys.readouterr().out
    assert TreeHead.objects.count() == 5 and Node.objects.filter(height=9).count() == 1


def test_who_lifts_the_guards_and_rewrites_everything_is_betrayed_by_an_earlier_head(transactional_db, data_folder, tmp_path, capsys):
    fill(20)
    sealing.seal()
    known = tmp_path / "tetes.json"
    known.write_text(json.dumps({"heads": [vars(sealing.signed(TreeHead.objects.get()))]}))
    guards.lift(connection)
    try:
        from belvedere.observatory.journal.models import Head

        for model in (Entry, TreeHead, Node, Head):
            model.objects.all().delete()
        fill(20, "autre")
    finally:
        guards.install(connection)
    file = tmp_path / "journal.jsonl"
    main(["journal", "export", "--data", str(data_folder), "--out", str(file)])
    assert main(["journal", "verify", str(file)]) == 0
    assert main(["journal", "verify", str(file), "--known", str(known)]) == 1
    assert "réécrit" in capsys.readouterr().out


@pytest.mark.parametrize("number", [1, 256, 257, 700])
def test_the_proof_of_an_entry_verifies_alone(db, data_folder, tmp_path, number):
    fill(700)
    proof = sealing.proof(number)
    assert archive.verify_proof(proof, sealing.public_key()).whole
    file = tmp_path / "preuve.json"
    file.write_text(json.dumps(proof, indent=1))
    assert main(["journal", "verify", str(file)]) == 0
    file.write_text(json.dumps(proof).replace("objet:", "objets:"))
    assert main(["journal", "verify", str(file)]) == 1
    assert sealing.proof(701) is None


@pytest.fixture
def authority(data_folder):
    """A real RFC 3161 service over HTTP, with the keys of the folder."""
    stamping.create_keys()
    stamper = stamping.own()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = tsp.TimeStampReq.load(self.rfile.read(int(self.headers["Content-Length"])))
            answer = asyncio.run(stamper.async_request_tsa_response(request)).dump()
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def test_heads_are_time_stamped_by_the_configured_authority(db, authority, monkeypatch, tmp_path, data_folder, capsys):
    fill(3)
    head = sealing.seal()
    assert sealing.stamp() == 0, "no authority, no stamp"
    monkeypatch.setenv("BELVEDERE_TSA_URL", "http://127.0.0.1:1/")
    assert sealing.stamp() == 0, "an authority that does not answer delays the stamp only"
    monkeypatch.setenv("BELVEDERE_TSA_URL", authority)
    assert sealing.stamp() == 1 and sealing.stamp() == 0
    head.refresh_from_db()
    assert stamps.wrong(head.token, head.signature.encode()) is None
    assert stamps.wrong(head.token, b"other") == "porte sur autre chose"
    spoilt = bytearray(base64.b64decode(head.token))
    spoilt[-5] ^= 1
    assert stamps.wrong(base64.b64encode(bytes(spoilt)).decode(), head.signature.encode()) == "a une signature fausse"
    file = tmp_path / "journal.jsonl"
    main(["journal", "export", "--data", str(data_folder), "--out", str(file)])
    assert main(["journal", "verify", str(file)]) == 0
    assert "1 horodatée" in capsys.readouterr().out
