"""The way in: the form and its rows, the link, the second proof, the signature, the account that opens by itself."""

import datetime as dt
import re

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from belvedere.observatory import pdfseal
from belvedere.observatory.accounts import factors
from belvedere.observatory.accounts.models import Role, User
from belvedere.observatory.members import agreement, enrolment, entities
from belvedere.observatory.members.actions import issue_sender_key, sender_of
from belvedere.observatory.members.models import Enrolment, EnrolmentState, Group, Member
from belvedere.observatory.members.models.joining import ENROLMENT_TRANSITIONS
from belvedere.observatory.notices import actions as notices
from belvedere.observatory.notices.models import Link, Notice, Purpose
from belvedere.observatory.publication import computing
from tests.enrolment import SIREN, TABLE, declared, delivered, form, link_in, of_provider, signed
from tests.flows import sector
from tests.members import send
from tests.people import browsing, person


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


def test_the_account_opens_at_the_first_accepted_flow(outbox):
    enrolled = signed(outbox)
    address = link_in(next(message.body for message in reversed(delivered(outbox)) if "brancher le flux" in message.subject))
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
    invitation = link_in(next(m.body for m in delivered(outbox) if m.to == ["anne@loire.fr"] and "compte" in m.subject))
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


def test_who_enrolled_itself_weighs_on_no_publication_until_it_is_verified(outbox):
    enrolled = signed(outbox)
    send([enrolled.group], sector(), [0], [0])
    count = lambda: computing.connection_to_facts().sql("SELECT count(*) FROM facts").fetchall()[0][0]  # noqa: E731
    assert count() == 0
    operator = person(Role.OPERATOR)
    browsing(operator).post(f"/exploitation/adhesions/{enrolled.reference}/suite/", {"act": "verify"})
    assert count() > 0


def test_an_ended_membership_sends_and_enters_no_more(outbox):
    enrolled = signed(outbox)
    token = issue_sender_key(group=enrolled.group, label="x", by="test")
    send([enrolled.group], sector(), [0], [0])
    browsing(person(Role.OPERATOR)).post(f"/exploitation/adhesions/{enrolled.reference}/suite/", {"act": "end", "reason": "Fusion."})
    enrolled.refresh_from_db()
    assert enrolled.state == EnrolmentState.ENDED and sender_of(token) is None
    assert not Member.objects.present().filter(group=enrolled.group).exists()
    assert not User.objects.filter(group=enrolled.group, is_active=True).exists()


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
