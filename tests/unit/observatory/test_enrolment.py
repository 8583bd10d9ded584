"""The way in: the form and its rows, the link, the second proof, the signature, the invoice, the account that opens by itself."""

import datetime as dt
import re
import socket

import pytest
from aiosmtpd.controller import Controller
from django.core import mail
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.utils import timezone
from facturx import get_xml_from_pdf

from belvedere.observatory import pdfseal
from belvedere.observatory.accounts import factors, people
from belvedere.observatory.accounts.models import Role, User
from belvedere.observatory.members import agreement, enrolment, entities, fees, invoicing
from belvedere.observatory.members.actions import issue_sender_key, rotate, sender_of
from belvedere.observatory.members.models import Bearing, Enrolment, EnrolmentState, Federation, Fee, FeeInvoice, Group, Member, SenderKey
from belvedere.observatory.members.models.joining import ENROLMENT_TRANSITIONS
from belvedere.observatory.notices import actions as notices
from belvedere.observatory.notices.models import Link, Notice, Purpose
from belvedere.observatory.publication import computing
from tests.flows import sector
from tests.members import send
from tests.people import browsing, person

SIREN = "732829320"
TABLE = "siren;siret;finess;nom\n732829320;73282932000074;{0};Loire Sud\n732829320;;{1};Loire Nord"


def of_provider(rank: int) -> str:
    provider = sector().providers[rank]
    return f"{provider.siren};;{provider.finess:09d};{provider.name}"


def form(federation=None, **changed) -> dict[str, str]:
    """A form that a provider could send."""
    given = {
        "is_group": "0", "name": "Loire Santé", "siren": SIREN, "address": "12 rue des Lilas", "postcode": "44000", "city": "Nantes", "phone": "",
        "federation": str(federation.pk) if federation else "aucune", "transmission": "vendor", "vendor": "Logiciel X", "signatory": "Anne Le Goff",
        "signatory_title": "présidente", "signatory_email": "anne@loire.fr", "legal": "on", "entities": of_provider(0),
    }  # fmt: skip
    return given | changed


def link_in(message: str) -> str:
    return re.search(r"https?://[^/\s]+(/\S+)", message)[1]


@pytest.fixture
def outbox(db, data_folder, federations):
    cache.clear()
    Fee.objects.update_or_create(valid_from="2020-10-01", defaults={"amount": 194200, "vat": 2000, "days": 30})
    for federation in federations:
        Bearing.objects.create(federation=federation, valid_from=dt.date(2020, 10, 1))
    return mail.outbox


def declared(**changed) -> Enrolment:
    answer = Client().post("/adherer/", form(**changed))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/adherer/merci/")
    return Enrolment.objects.latest("pk")


def signed(outbox, **changed) -> Enrolment:
    enrolled = declared(**changed)
    notices.deliver_due()
    client, address = Client(), link_in(outbox[-1].body)
    client.get(address)
    enrolled.refresh_from_db()
    proof = {"typed": "Le Goff Anne", "code": factors.code(factors.unseal(enrolled.factor)), "read": "on", "legal": "on", "electronic": "on"}
    assert client.post(address, proof).status_code == 302
    enrolled.refresh_from_db()
    return enrolled


def test_a_refused_form_keeps_what_was_typed_and_sends_nothing(outbox):
    answer = Client().post("/adherer/", form(siren="732829321", postcode="44", vendor="", signatory_email="x"))
    assert answer.status_code == 422
    text = answer.content.decode()
    for said in ("ne tombe pas juste", "Cinq chiffres", "Dites quel éditeur", "Loire Santé"):
        assert said in text
    assert Enrolment.objects.count() == 0 == Notice.objects.count()


def test_rows_are_checked_one_by_one():
    good = [f"{44:02d}00001{n}" for n in range(10)]
    finess = [number for number in (f"4400001{n:02d}" for n in range(100)) if entities.luhn(number, 9)]
    rows = entities.read(TABLE.format(finess[0], finess[0]) + "\nx;y;z;\n\n")
    assert good and [bool(row.errors) for row in rows] == [False, True, True]
    assert rows[1].errors == ["FINESS déjà donné ligne 1."]
    assert len(rows[2].errors) == 5
    assert (rows[0].department, rows[0].siren) == ("44", SIREN)
    swapped = entities.read(f"nom,finess,siret\nLoire,{finess[0]},73282932000074")
    assert (swapped[0].name, swapped[0].siren, swapped[0].errors) == ("Loire", SIREN, [])
    assert entities.siret_ok("35600000049837") and not entities.siret_ok("35600000049830")
    assert entities.read("") == [] and entities.department_of("200112344") == "2A"


def test_the_answer_is_the_same_for_a_provider_that_takes_part_already(outbox):
    first = signed(outbox)
    before = len(outbox)
    second = declared(signatory_email="autre@ailleurs.fr")
    assert (second.state, second.pk != first.pk) == (EnrolmentState.HELD, True)
    notices.deliver_due()
    assert [message.to for message in outbox[before:] if "nouvelle demande" in message.subject] == [["anne@loire.fr"]]
    assert not [message for message in outbox if message.to == ["autre@ailleurs.fr"]]


def test_the_signed_convention_verifies_and_carries_its_evidence(outbox):
    enrolled = signed(outbox)
    document = agreement.signed_path(enrolled).read_bytes()
    status = pdfseal.status(document)
    assert status.intact and status.valid and status.trusted and status.bottom_line
    assert status.timestamp_validity.valid and status.timestamp_validity.trusted
    evidence = pdfseal.evidence_of(document)
    assert evidence["text_sha256"] == enrolled.text_hash and evidence["typed_name"] == "Le Goff Anne"
    assert len(evidence["consents"]) == 3 and evidence["address"] == "127.0.0.1"
    import hashlib

    assert hashlib.sha256(agreement.text_path(enrolled).read_bytes()).hexdigest() == enrolled.text_hash
    assert agreement.text_path(enrolled).read_bytes() == document[: agreement.text_path(enrolled).stat().st_size]
    spoilt = bytearray(document)
    spoilt[900] ^= 1
    assert not pdfseal.status(bytes(spoilt)).bottom_line
    assert agreement.signed_path(enrolled).stat().st_mode & 0o077 == 0
    assert enrolled.group.members.get().joined_on == timezone.localdate()


def test_links_that_are_used_expired_or_touched_are_refused(outbox):
    declared()
    notices.deliver_due()
    address = link_in(outbox[-1].body)
    assert Client().get(address).status_code == 200
    assert "n’ouvre rien" in Client().get(address[:-2] + "x/").content.decode()
    Link.objects.update(expires_at=timezone.now())
    answer = Client().get(address)
    assert answer.status_code == 410 and "expiré" in answer.content.decode()
    enrolment.remind(enrolment=Enrolment.objects.get(), by="test")
    notices.deliver_due()
    assert Client().get(address).status_code == 410
    assert Client().get(link_in(outbox[-1].body)).status_code == 200
    enrolled = signed(outbox, siren="443061841", entities=of_provider(1))
    used = next(link_in(m.body) for m in outbox if "Signer" in m.subject and enrolled.reference in m.body)
    assert "déjà servi" in Client().get(used).content.decode()
    assert Client().post(used, {"code": "000000"}).status_code == 410


def test_a_wrong_code_or_name_signs_nothing(outbox):
    enrolled = declared()
    notices.deliver_due()
    client, address = Client(), link_in(outbox[-1].body)
    client.get(address)
    enrolled.refresh_from_db()
    right = factors.code(factors.unseal(enrolled.factor))
    proof = {"typed": "Anne Le Goff", "read": "on", "legal": "on", "electronic": "on"}
    assert client.post(address, proof | {"code": f"{(int(right) + 1) % 10**6:06d}"}).status_code == 422
    assert client.post(address, proof | {"code": right, "typed": "Jean Dupont"}).status_code == 422
    assert client.post(address, {"typed": "Anne Le Goff", "code": right}).status_code == 422
    for _ in range(10):
        client.post(address, proof | {"code": f"{(int(right) + 1) % 10**6:06d}"})
    assert "Trop de codes faux" in client.post(address, proof | {"code": right}).content.decode()
    enrolled.refresh_from_db()
    assert enrolled.state == EnrolmentState.INVITED and Group.objects.count() == 0


def test_an_independent_is_billed_and_a_federation_s_member_is_not(outbox, federations):
    alone = signed(outbox)
    invoice = FeeInvoice.objects.get()
    assert (invoice.group, invoice.amount, invoice.tax, invoice.total) == (alone.group, 194200, 38840, 233040)
    assert invoice.due_on == invoice.issued_on + dt.timedelta(days=30)
    name, xml = get_xml_from_pdf(invoicing.path(invoice).read_bytes(), check_xsd=True)
    assert name == "factur-x.xml" and b"2330.40" in xml and invoice.number.encode() in xml
    signed(outbox, federation=federations[0], siren="443061841", entities=of_provider(1), signatory_email="b@b.fr")
    assert FeeInvoice.objects.count() == 1
    fees.set_bearing(federation=federations[0], day=timezone.localdate(), bears=False, by="test")
    assert invoicing.bill_all(timezone.localdate()) == 1 and invoicing.bill_all(timezone.localdate()) == 0
    assert [row.number[5:] for row in FeeInvoice.objects.order_by("number")] == ["00001", "00002"]
    assert invoicing.bill_all(timezone.localdate() + dt.timedelta(days=366)) == 2
    operator = person(Role.OPERATOR)
    invoicing.pay(invoice=invoice, day=timezone.localdate(), reference="VIR 12", by=operator)
    with pytest.raises(fees.FeeRefused):
        invoicing.pay(invoice=invoice, day=timezone.localdate(), reference="VIR 12", by=operator)
    with pytest.raises(fees.FeeRefused):
        fees.set_fee(valid_from=timezone.localdate(), amount=1, vat=0, days=1, today=timezone.localdate(), by=operator)


def test_the_account_opens_at_the_first_accepted_flow(outbox):
    enrolled = signed(outbox)
    address = link_in(next(message.body for message in reversed(_delivered(outbox)) if "brancher le flux" in message.subject))
    client = Client()
    assert "Convention signée" not in client.get(address).content.decode(), "the page asks for a code again"
    assert client.post(address, {"code": factors.code(factors.unseal(enrolled.factor))}).status_code == 302
    token = re.search(r"bvd_[\w-]+", client.post(address, {"key": "1"}).content.decode())[0]
    assert sender_of(token).group == enrolled.group
    assert token not in client.get(address).content.decode()
    client.post(address, {"emails": "paul@loire.fr, lea@loire.fr"})
    assert client.get(address + "convention.pdf").status_code == 200 == client.get(address + "facture.pdf").status_code
    assert Client().get(address + "convention.pdf").status_code == 404
    assert User.objects.count() == 0
    secret = factors.unseal(enrolled.factor)
    send([enrolled.group], sector(), [0], [0])
    enrolled.refresh_from_db()
    assert (enrolled.state, enrolled.factor) == (EnrolmentState.ACTIVE, "")
    signatory = User.objects.get(email="anne@loire.fr")
    assert (signatory.role, signatory.whole_group) == (Role.MEMBER_ADMIN, True)
    assert {user.email for user in User.objects.filter(role=Role.MEMBER_READER)} == {"paul@loire.fr", "lea@loire.fr"}
    assert Client().get(address).status_code == 410
    invitation = link_in(next(m.body for m in _delivered(outbox) if m.to == ["anne@loire.fr"] and "compte" in m.subject))
    browser = Client()
    assert browser.post(invitation, {"password": "court", "again": "court"}).status_code == 422
    assert browser.post(invitation, {"password": "quatre mots à retenir", "again": "quatre mots à retenir"}).status_code == 302
    assert (
        browser.post("/compte/login/", {"login": "anne@loire.fr", "password": "quatre mots à retenir"})
        .headers["Location"]
        .startswith("/compte/2fa/authenticate/")
    )
    code = factors.code(secret)
    assert browser.post("/compte/2fa/authenticate/", {"code": code}).status_code == 302
    assert browser.get("/ma-position/").status_code == 200


def _delivered(outbox):
    notices.deliver_due()
    return outbox


def test_who_does_not_answer_is_reminded_then_left(outbox):
    enrolled = declared()
    later = enrolled.created_at
    assert enrolment.chase(later + dt.timedelta(days=2)) == 0
    assert enrolment.chase(later + dt.timedelta(days=3)) == 1 and enrolment.chase(later + dt.timedelta(days=4)) == 0
    assert enrolment.chase(later + dt.timedelta(days=10)) == 1
    assert enrolment.chase(later + dt.timedelta(days=45)) == 1
    enrolled.refresh_from_db()
    assert enrolled.state == EnrolmentState.CANCELLED and enrolled.reminders == 2
    notices.deliver_due()
    assert sum("Rappel" in message.subject for message in outbox) == 2
    assert declared().state == EnrolmentState.INVITED, "a cancelled enrolment leaves the SIREN free"


def test_states_move_along_the_table_only(outbox):
    enrolled = declared()
    for before, following in ENROLMENT_TRANSITIONS.items():
        for after in EnrolmentState:
            enrolled.state = before
            if after in following:
                continue
            with pytest.raises(enrolment.EnrolmentRefused):
                enrolment.move(enrolled, after, by="test")


def test_entities_come_and_go_with_dates(outbox, groups):
    admin = person(Role.MEMBER_ADMIN, group=groups[0])
    rank = next(rank for rank, provider in enumerate(sector().providers) if groups[0].members.filter(finess=provider.finess).exists())
    member = Member.objects.get(finess=sector().providers[rank].finess)
    client = browsing(admin)
    client.post(f"/mon-groupe/entites/{member.pk}/sortir/", {"day": timezone.localdate().isoformat()})
    send(groups, sector(), [0], [rank])
    assert member.flows.count() == 0 and groups[0].flows.get().state == "refused"
    stranger = Member.objects.exclude(group=groups[0]).first()
    assert client.post(f"/mon-groupe/entites/{stranger.pk}/sortir/").status_code == 404
    answer = client.post("/mon-groupe/entites/", {"entities": f"{SIREN};;{stranger.finess:09d};Autre", "send": "1"})
    assert "ne peut pas être ajoutée" in answer.content.decode()


def test_an_administrator_gives_what_it_sees_at_most(outbox, groups):
    group = max(groups, key=lambda item: item.members.count())
    one, *others = group.members.all()
    small = person(Role.MEMBER_ADMIN, group=group, entities=[one])
    with pytest.raises(people.AccountRefused):
        people.invite_colleague(by=small, email="a@b.fr", role=Role.MEMBER_READER, whole_group=True, entities=())
    with pytest.raises(people.AccountRefused):
        people.invite_colleague(by=small, email="a@b.fr", role=Role.MEMBER_READER, whole_group=False, entities=())
    with pytest.raises(people.AccountRefused):
        people.invite_colleague(by=small, email="a@b.fr", role=Role.OPERATOR, whole_group=False, entities=[one])
    stranger = Member.objects.exclude(group=group).first()
    for entity in (*others[:1], stranger):
        with pytest.raises(people.AccountRefused):
            people.invite_colleague(by=small, email="a@b.fr", role=Role.MEMBER_READER, whole_group=False, entities=[entity])
    made = people.invite_colleague(by=small, email="a@b.fr", role=Role.MEMBER_READER, whole_group=False, entities=[one])
    assert not made.whole_group and list(made.entities.all()) == [one]
    client = browsing(small)
    assert client.get("/mon-groupe/").status_code == 200
    assert client.get("/mon-groupe/entites/").status_code == 403 == client.post("/mon-groupe/emetteurs/", {"act": "add"}).status_code
    assert client.post(f"/mon-groupe/personnes/{person(Role.MEMBER_READER, group=group).pk}/fermer/").status_code == 404
    assert client.post(f"/mon-groupe/personnes/{made.pk}/fermer/").status_code == 302
    made.refresh_from_db()
    assert not made.is_active


def test_a_renewed_key_overlaps_then_ends(outbox, groups):
    token = issue_sender_key(group=groups[0], label="x", by="test")
    fresh = rotate(sender=SenderKey.objects.get(), by="test")
    assert sender_of(token).group == sender_of(fresh).group == groups[0]
    SenderKey.objects.filter(replaced_by__isnull=False).update(expires_at=timezone.now())
    assert sender_of(token) is None and sender_of(fresh)


def test_a_key_of_one_entity_sends_and_reads_for_it_alone(outbox, groups):
    group = max(groups, key=lambda item: item.members.count())
    ranks = [rank for rank, provider in enumerate(sector().providers) if group.members.filter(finess=provider.finess).exists()][:2]
    members = [Member.objects.get(finess=sector().providers[rank].finess) for rank in ranks]
    token = issue_sender_key(group=group, label="x", by="test", member=members[0])
    with pytest.raises(ValueError, match="another group"):
        issue_sender_key(group=next(g for g in groups if g != group), label="x", by="test", member=members[0])
    send([group], sector(), [0], ranks)
    listed = Client().get("/api/v1/flows", headers={"Authorization": f"Bearer {token}"}).json()
    assert {row["member"] for row in listed} == {members[0].name}
    from belvedere.engine.b2.envelope import seal
    from belvedere.engine.sector.billing import month_file
    from belvedere.observatory.collect import keyring, reception, worker

    other = reception.receive(
        group=group, sender=sender_of(token), sealed=seal(month_file(sector(), ranks[1], 1), keyring.certificate()), channel="api", file_name="f"
    )
    worker.drain()
    other.refresh_from_db()
    assert other.state == "refused" and "P601" in str(other.findings)
    assert SenderKey.objects.get(pk=other.sender_id).last_used_at


def test_messages_go_out_by_a_real_server_and_wait_when_it_is_down(outbox, settings):
    received = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            received.append(envelope.content.decode())
            return "250 OK"

    declared()
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = (
        "django.core.mail.backends.smtp.EmailBackend",
        "127.0.0.1",
        1,
        False,
    )
    assert notices.deliver_due() == 0
    notice = Notice.objects.get()
    assert (notice.tries, notice.sent_at) == (1, None) and notice.next_at > timezone.now()
    assert notices.deliver_due() == 0
    Notice.objects.update(next_at=timezone.now())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.EMAIL_PORT = free.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=settings.EMAIL_PORT)
    controller.start()
    try:
        assert notices.deliver_due() == 1
    finally:
        controller.stop()
    assert "To: anne@loire.fr" in received[0] and Link.objects.filter(purpose=Purpose.SIGN, used_at=None).count() == 1
    assert "token" not in str(Notice.objects.values().get())


def test_who_enrolled_itself_weighs_on_no_publication_until_it_is_verified(outbox):
    enrolled = signed(outbox)
    send([enrolled.group], sector(), [0], [0])
    count = lambda: computing.connection_to_facts().sql("SELECT count(*) FROM facts").fetchall()[0][0]  # noqa: E731
    assert count() == 0
    operator = person(Role.OPERATOR)
    browsing(operator).post(f"/exploitation/adhesions/{enrolled.reference}/suite/", {"act": "verify"})
    assert count() > 0


def test_the_operator_enrols_and_renames_federations(outbox, federations):
    client = browsing(person(Role.OPERATOR))
    for form_sent, names in (
        ({"name": "Quatrième"}, ["FédéPSAD", "UNPDM", "UPSADI", "Quatrième"]),
        ({"name": "UNPDM"}, ["FédéPSAD", "UNPDM", "UPSADI", "Quatrième"]),
        ({"name": "FédéPSAD nouvelle", "federation": federations[0].pk}, ["FédéPSAD nouvelle", "UNPDM", "UPSADI", "Quatrième"]),
    ):
        assert client.post("/exploitation/cotisation/federations/", form_sent).status_code == 302
        assert [item.name for item in Federation.objects.order_by("pk")] == names
    assert client.get("/exploitation/cotisation/").status_code == 200


def test_an_ended_membership_sends_and_enters_no_more(outbox):
    enrolled = signed(outbox)
    token = issue_sender_key(group=enrolled.group, label="x", by="test")
    send([enrolled.group], sector(), [0], [0])
    browsing(person(Role.OPERATOR)).post(f"/exploitation/adhesions/{enrolled.reference}/suite/", {"act": "end", "reason": "Fusion."})
    enrolled.refresh_from_db()
    assert enrolled.state == EnrolmentState.ENDED and sender_of(token) is None
    assert not Member.objects.present().filter(group=enrolled.group).exists()
    assert not User.objects.filter(group=enrolled.group, is_active=True).exists()


@pytest.mark.parametrize("name", ["A\x0cReply-To : x@y.fr", "A\nCliquez", "Gagnez sur http://x.fr", "A\u2028B", "<b>A</b>"])
def test_nothing_that_a_stranger_types_writes_our_messages(outbox, name):
    assert Client().post("/adherer/", form(name=name)).status_code == 422
    assert Client().post("/adherer/", form(signatory=name)).status_code == 422


def test_a_mailbox_is_not_flooded(outbox):
    statuses = [Client().post("/adherer/", form(siren=siren)).status_code for siren in ("732829320", "443061841", "552100554", "542065479")]
    assert statuses == [302, 302, 302, 429]


def test_links_never_reach_the_log(outbox, caplog):
    declared()
    notices.deliver_due()
    address = link_in(outbox[-1].body)
    Client().get(address)
    Client().post(address, {"code": "0"})
    from belvedere.observatory.logs import WithoutLinks

    told = [record for record in caplog.records if "convention" in str(record.args) + record.getMessage()]
    assert told and all(WithoutLinks().filter(record) for record in told)
    assert all(address.strip("/").split("/")[-1] not in record.getMessage() for record in told)


def test_one_siren_enrols_once_even_at_the_same_time(outbox):
    declared()
    twin = Enrolment.objects.get()
    twin.pk, twin.reference = None, "A-TWIN"
    from django.db import IntegrityError

    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save()


def test_the_operator_is_told_when_another_enrolment_stands_in_the_way(outbox):
    signed(outbox)
    held = declared()
    client = browsing(person(Role.OPERATOR))
    answer = client.post(f"/exploitation/adhesions/{held.reference}/suite/", {"act": "send"}, follow=True)
    assert "classez-la ou terminez-la" in answer.content.decode()
    held.refresh_from_db()
    assert held.state == EnrolmentState.HELD


def test_of_two_that_claim_the_same_entity_the_first_to_sign_has_it(outbox):
    first, second = declared(), declared(siren="443061841", signatory_email="b@b.fr")
    assert {first.state, second.state} == {EnrolmentState.INVITED}
    notices.deliver_due()
    pages = {}
    for enrolled in (first, second):
        address = link_in(next(m.body for m in outbox if enrolled.reference in m.body))
        client = Client()
        client.get(address)
        enrolled.refresh_from_db()
        proof = {"typed": "Anne Le Goff", "code": factors.code(factors.unseal(enrolled.factor)), "read": "on", "legal": "on", "electronic": "on"}
        pages[enrolled.pk] = client.post(address, proof)
    assert pages[first.pk].status_code == 302 and pages[second.pk].status_code == 422
    assert "inscrite par ailleurs" in pages[second.pk].content.decode()
    second.refresh_from_db()
    assert second.state == EnrolmentState.INVITED and Group.objects.count() == 1


def test_nobody_signs_without_the_second_proof(outbox):
    enrolled = declared()
    notices.deliver_due()
    link = notices.opened(Purpose.SIGN, link_in(outbox[-1].body).strip("/").split("/")[-1])
    with pytest.raises(enrolment.EnrolmentRefused):
        enrolment.sign(link=link, code="", signatory="Anne Le Goff", consents=[], address="", agent="")
    enrolled.refresh_from_db()
    assert (enrolled.state, enrolled.factor_tries) == (EnrolmentState.INVITED, 1)


def test_a_gesture_of_the_operator_does_not_undo_a_signature_made_meanwhile(outbox):
    stale = declared()
    notices.deliver_due()
    address = link_in(outbox[-1].body)
    client = Client()
    client.get(address)
    fresh = Enrolment.objects.get(pk=stale.pk)
    client.post(
        address, {"typed": "Anne Le Goff", "code": factors.code(factors.unseal(fresh.factor)), "read": "on", "legal": "on", "electronic": "on"}
    )
    enrolment.remind(enrolment=stale, by="test")
    fresh.refresh_from_db()
    assert (fresh.state, fresh.group is not None, fresh.reminders) == (EnrolmentState.SIGNED, True, 1)
