"""What an attacker or bad luck does to the reception: each of these was once a bug."""

import datetime as dt

import pytest
from django.test import Client
from django.utils import timezone

from belvedere.engine.b2.envelope import seal
from belvedere.observatory.collect import keyring, mail, queue, reception, sftp, sweeping, vault, webhooks, worker
from belvedere.observatory.collect.models import DataFile, Flow, State, Upload
from belvedere.observatory.members.actions import issue_sender_key, revoke, sender_of
from tests.flows import a_file
from tests.unit.observatory.test_counted_once import corrected, counted, send


@pytest.fixture
def token(groups):
    return issue_sender_key(group=groups[0], label="t", by="test")


@pytest.fixture
def api(token):
    return Client(headers={"Authorization": f"Bearer {token}"}, SERVER_NAME="localhost")


def sealed(clear=None):
    return seal(a_file() if clear is None else clear, keyring.certificate())


def upload(api, content, **headers):
    opened = api.post("/api/v1/uploads", headers={"Upload-Length": str(len(content)), **headers})
    return opened.headers.get("Location", "").split("localhost")[-1], opened.status_code


def patch(api, path, content, offset=0):
    return api.patch(path, content, content_type="application/offset+octet-stream", headers={"Upload-Offset": str(offset)})


def test_a_whole_upload_asked_for_twice_is_one_flow_with_its_bytes(api):
    content = sealed()
    path, _ = upload(api, content)
    assert patch(api, path, content).status_code == 204
    Upload.objects.update(flow=None)  # died between the flow and the upload's row
    assert api.head(path).headers["Belvedere-Receipt"] == str(Flow.objects.get().pk)
    assert patch(api, path, content).status_code == 204
    worker.drain()
    assert Flow.objects.get().state == State.ACCEPTED


def test_a_key_used_for_another_content_is_refused_by_both_calls(api):
    assert api.post("/api/v1/flows", sealed(), content_type="application/x", headers={"Idempotency-Key": "k"}).status_code == 202
    content = sealed(a_file(1))
    assert api.post("/api/v1/flows", content, content_type="application/x", headers={"Idempotency-Key": "k"}).status_code == 422
    path, _ = upload(api, content, **{"Idempotency-Key": "k"})
    assert patch(api, path, content).status_code == 422
    assert api.post("/api/v1/flows", content, content_type="application/x", headers={"Idempotency-Key": "k" * 81}).status_code == 400
    assert Flow.objects.count() == 1


def test_a_clear_file_sent_by_mistake_leaves_its_key_free(api):
    first = api.post("/api/v1/flows", a_file(), content_type="application/x", headers={"Idempotency-Key": "k"}).json()
    assert first["findings"][0]["code"] == "E703"
    second = api.post("/api/v1/flows", sealed(), content_type="application/x", headers={"Idempotency-Key": "k"}).json()
    assert second["receipt"] != first["receipt"] and second["state"] == "received"


def test_a_deposit_cut_on_the_way_is_not_kept(groups, data_folder):
    with pytest.raises(reception.Cut):
        reception.receive(group=groups[0], sealed=sealed()[:500], channel="api", length=5000)
    assert not Flow.objects.exists() and not list((data_folder / "incoming").glob("*"))


def test_uploads_and_receipts_are_the_groups_own(api, groups):
    content = sealed()
    path, _ = upload(api, content)
    other = Client(headers={"Authorization": f"Bearer {issue_sender_key(group=groups[1], label='o', by='test')}"}, SERVER_NAME="localhost")
    assert other.head(path).status_code == other.delete(path).status_code == patch(other, path, content).status_code == 404
    patch(api, path, content)
    number = Flow.objects.get().pk
    assert other.get(f"/api/v1/flows/{number}").status_code == 404
    assert other.get("/api/v1/flows").json() == []


def test_a_revoked_sender_is_nobody(api, token):
    revoke(sender=sender_of(token), by="test")
    assert api.post("/api/v1/flows", sealed(), content_type="application/x").status_code == 401
    assert sender_of(token) is None


def test_a_damaged_past_holds_up_nobody_else(groups, data_folder):
    send(groups[0], a_file())
    vault.facts_path(DataFile.objects.get().name).unlink()
    from belvedere.observatory.collect import past

    past._kept.clear()
    stuck = reception.receive(group=groups[0], sealed=sealed(corrected(a_file())), channel="api")
    other = reception.receive(group=groups[1], sealed=sealed(a_file(1)), channel="api")
    worker.drain()
    assert Flow.objects.get(pk=other.pk).settled_at and Flow.objects.get(pk=stuck.pk).failures == 1


def test_a_flow_that_kills_its_workers_is_given_up(groups):
    flow = reception.receive(group=groups[0], sealed=sealed(), channel="api")
    Flow.objects.filter(pk=flow.pk).update(deaths=queue.MAX_DEATHS + 1)
    worker.drain()
    assert [item["code"] for item in Flow.objects.get().findings] == ["X901"]


def test_the_last_sent_version_stands_whichever_is_treated_first(groups):
    first = reception.receive(group=groups[0], sealed=sealed(), channel="api")
    Flow.objects.filter(pk=first.pk).update(state=State.RUNNING, lease_until=timezone.now() + dt.timedelta(hours=1))
    second = send(groups[0], corrected(a_file()))
    before = counted()
    Flow.objects.filter(pk=first.pk).update(lease_until=timezone.now() - dt.timedelta(hours=1))
    worker.drain()
    late = Flow.objects.get(pk=first.pk)
    assert sorted(item["code"] for item in late.findings) == ["S106", "S114"] and late.replaced_invoices == 0
    assert (late.state, counted()) == (State.DUPLICATE, before)
    assert second.lines == 400


@pytest.mark.parametrize(
    "name, shown",
    [
        ("../../etc/passwd", "passwd"),
        ("1850578006084.b2", "NIR.b2"),
        ("1 85 05 78 006 084 36 octobre.b2", "NIR octobre.b2"),
        ("2-85-05-2a-006-084.b2", "NIR.b2"),
        ("852600048-2026-10.b2", "852600048-2026-10.b2"),
        ("é" * 200, "é" * 50),
        ("a\x00b\nc.b2", "abc.b2"),
    ],
)
def test_file_names_carry_neither_path_nor_nir_and_stay_short(name, shown):
    assert reception.clean_name(name) == shown


def test_one_receipt_that_cannot_be_written_does_not_hold_the_others(groups, data_folder):
    rows = []
    for number in range(2):
        flow = send(groups[0], a_file(0, number))
        Flow.objects.filter(pk=flow.pk).update(channel="folder", handed_back=False, file_name="€" * 90 if not number else "ok")
        rows.append(flow.pk)
    sweeping.hand_back_receipts()
    assert [Flow.objects.get(pk=pk).handed_back for pk in rows] == [False, True]


@pytest.mark.parametrize("url", ["https://127.0.0.1/x", "https://[::1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "http://example.org/",
                                 "https://exemple.fr/é", "https://[bad/", "https://224.0.0.1/"])  # fmt: skip
def test_webhooks_never_call_inside(groups, url):
    with pytest.raises(webhooks.BadAddress):
        webhooks.register(group=groups[0], url=url, by="test")


@pytest.mark.parametrize("raw", [b"Content-Type: application/edi-consent; a*\r\n\r\nx", b"", b"\xff\xfe", b"Subject: x\r\n\r\nbonjour"])
def test_a_message_that_holds_no_flow(raw):
    with pytest.raises(mail.NotAFlow):
        mail.sealed_parts(raw)


def test_a_file_that_a_session_still_writes_is_left_alone(groups, token, data_folder):
    sender = sender_of(token)
    path = vault.sftp_root(sender.client_id) / "depot" / "x.p7m"
    path.parent.mkdir(parents=True)
    path.write_bytes(sealed())
    sftp._open.add(path)
    assert sftp.take_left_overs(age=-1) == 0
    sftp._open.discard(path)
    assert sftp.take_left_overs(age=-1) == 1
    assert not path.exists() and Flow.objects.get().sender == sender
