"""The front-end, supporting documents, identities, documents and routes: what each refuses, warns of, and lets through."""

import datetime as dt
import io
import json
import zipfile
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.serialization import pkcs7
from PIL import Image
from pypdf import PdfWriter

from belvedere.engine.b2 import noemie
from belvedere.engine.b2.envelope import Holder, seal
from belvedere.engine.services import BANNER, directory, documents, fides, frontend, identity, pieces
from belvedere.engine.services.frontend import algorithm, receive, settle
from belvedere.engine.services.invoice_check import invoices
from belvedere.observatory.keyfiles import issue
from tests.conftest import SHARED
from tests.services import DAY, EXEMPT, file_of, person

NOW = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)


def holder(**options) -> Holder:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return Holder(issue("01511@511.01.rss.fr", key, **options), key)


@pytest.fixture(scope="module")
def caisse() -> Holder:
    return holder(start=NOW - dt.timedelta(days=10))


def enveloped(clear: bytes, certificate: x509.Certificate, cipher=algorithms.AES128) -> bytes:
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(clear).add_recipient(certificate)
    return builder.set_content_encryption_algorithm(cipher).encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


def des(clear: bytes, certificate: x509.Certificate) -> bytes:
    """The same message in triple DES, which the library no longer writes: sealed with asn1crypto's own parts."""
    import os

    from asn1crypto import cms, core
    from asn1crypto import x509 as asn1_x509
    from cryptography.hazmat.primitives import padding
    from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    secret, vector, pad = os.urandom(24), os.urandom(8), padding.PKCS7(64).padder()
    encryptor = Cipher(TripleDES(secret), modes.CBC(vector)).encryptor()
    content = encryptor.update(pad.update(clear) + pad.finalize()) + encryptor.finalize()
    ours = asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))
    recipient = cms.RecipientInfo({"ktri": {"version": "v0", "rid": {"issuer_and_serial_number": {"issuer": ours.issuer, "serial_number": ours.serial_number}}, "key_encryption_algorithm": {"algorithm": "rsaes_pkcs1v15"}, "encrypted_key": certificate.public_key().encrypt(secret, rsa_padding.PKCS1v15())}})  # fmt: skip
    data = cms.EnvelopedData({"version": "v0", "recipient_infos": [recipient], "encrypted_content_info": {"content_type": "data", "content_encryption_algorithm": {"algorithm": "tripledes_3key", "parameters": core.OctetString(vector)}, "encrypted_content": content}})  # fmt: skip
    return cms.ContentInfo({"content_type": "enveloped_data", "content": data}).dump()


def test_the_algorithm_is_read_before_anything_is_opened(caisse):
    raw = file_of([person(0)])
    other = holder(start=NOW - dt.timedelta(days=1))
    assert [algorithm(one) for one in (seal(raw, other.certificate), des(raw, other.certificate), raw, b"\x1f\x8b\x08", b"bruit")] == [
        "AES",
        "3DES",
        "CLAIR",
        "CLAIR",
        "",
    ]


def test_each_flow_has_its_answer(caisse):
    raw = file_of([person(0), person(1)])
    other, old = holder(start=NOW - dt.timedelta(days=1)), holder(start=NOW - dt.timedelta(days=900))
    good = enveloped(raw, caisse.certificate)
    cases = {
        good: ("F00", "AES"), des(raw, caisse.certificate): ("F00", "3DES"), raw: ("F01", "CLAIR"), good[:-200]: ("F02", ""), seal(raw, other.certificate): ("F04", "AES"),
        enveloped(raw, old.certificate): ("F06", "AES"), enveloped(b"pas un flux", caisse.certificate): ("F07", "AES"), b"bruit": ("F07", ""),
    }  # fmt: skip
    for sealed, (code, how) in cases.items():
        taken = receive(sealed, [caisse, old], NOW)
        told = taken.acknowledgement
        assert (told.code, told.algorithm, told.accepted) == (code, how, code == "F00"), told
        assert (taken.clear == raw) == told.accepted and (told.remedy or told.accepted) and told.note == BANNER
    assert receive(good, [caisse], NOW).acknowledgement.invoices == 2
    assert receive(des(raw, caisse.certificate), [caisse], NOW).acknowledgement.warnings


def test_what_differs_from_the_rights_is_rejected_for_it_and_the_rest_is_paid():
    people = [person(rank) for rank in range(40)]
    raw = file_of(people)
    register = {one.nir: one for one in people} | {
        people[3].nir: replace(people[3], caisse="999"),
        people[5].nir: replace(people[5], exemptions=EXEMPT),
    }
    del register[people[7].nir]
    amounts = {billed.number: (6_000, 4_000) for billed in invoices(raw)}
    found = settle(raw, amounts, register, DAY)
    assert found == settle(raw, amounts, register, DAY), "the same fate whenever it is asked"
    causes = {one.number: one.cause for one in found if not one.paid}
    assert {"000000004": "D110", "000000006": "D130", "000000008": "B007"}.items() <= causes.items() and len(causes) <= 6
    assert all(DAY + dt.timedelta(days=5) <= one.day <= DAY + dt.timedelta(days=12) for one in found)
    answered = noemie.returns(frontend.noemie(found, 750000001, DAY))
    rows = noemie.table(answered).to_pylist()
    assert len(rows) == 40 and answered.sender.strip().endswith(frontend.NOEMIE_MESSAGE)
    assert {f"{row['invoice_no']:09d}": row["code"] for row in rows if row["state"] == "R"} == causes
    assert sum(row["paid_amo"] for row in rows) == 6_000 * (40 - len(causes))


def png(width=1240, height=1754, dpi=None, kind="PNG") -> bytes:
    out = io.BytesIO()
    Image.new("L", (width, height), 255).save(out, kind, **({"dpi": (dpi, dpi)} if dpi else {}))
    return out.getvalue()


def pdf(*, pages=1, password="", scan=None) -> bytes:
    if scan:
        out = io.BytesIO()
        Image.new("RGB", scan, (250, 250, 250)).save(out, "PDF", resolution=scan[0] / 8.27)
        return out.getvalue()
    writer, out = PdfWriter(), io.BytesIO()
    for _ in range(pages):
        writer.add_blank_page(595, 842)
    if password:
        writer.encrypt(password, algorithm="AES-256")
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize("content, codes", [
    (png(), []), (png(dpi=200), []), (png(dpi=96), ["S05"]), (png(400, 500), ["S05"]), (png(kind="JPEG"), []), (png(kind="GIF"), ["S02"]), (b"PK\x03\x04 un classeur", ["S02"]), (b"bruit", ["S01"]),
    (png()[:200], ["S01"]), (pdf(), []), (pdf(password="x"), ["S03"]), (pdf(pages=0), ["S04"]), (pdf(scan=(1240, 1754)), []), (pdf(scan=(600, 849)), ["S05"]), (b"%PDF-1.7 bruit", ["S01"]),
    (b"\x00" * (pieces.MOST_BYTES + 1), ["S06"]),
])  # fmt: skip
def test_a_piece_by_itself(content, codes):
    assert pieces.readable(content) == codes


def lot(**changes) -> pieces.Lot:
    held = (pieces.Piece("a.png", png(), "F1", DAY), pieces.Piece("b.pdf", pdf(), "F2", DAY))
    made = pieces.Lot("750000001", "B2-1", True, frozenset({"F1", "F2", "F3"}), frozenset({"F1", "F2"}), DAY, held)
    return replace(made, **changes)


@pytest.mark.parametrize("changes, codes", [
    ({}, []), ({"acknowledged": False}, ["S12"]), ({"required": frozenset({"F3"})}, ["S10"]), ({"invoices": frozenset({"F1"})}, ["S09"]),
    ({"pieces": (pieces.Piece("a", png(), "", DAY),), "required": frozenset()}, ["S08"]), ({"pieces": (pieces.Piece("a", png(), "F1", DAY), pieces.Piece("b", png(), "F2", DAY))}, ["S07"]),
    ({"pieces": (pieces.Piece("a", png(), "F1", DAY - dt.timedelta(days=400)),), "required": frozenset()}, ["S11"]),
])  # fmt: skip
def test_a_lot(changes, codes):
    remarks = pieces.check(lot(**changes))
    assert pieces.codes(remarks) == codes and all(one.text for one in remarks)


def test_a_lot_leaves_with_its_manifest_and_no_name():
    made = lot()
    with zipfile.ZipFile(io.BytesIO(pieces.packed(made))) as archive:
        names = archive.namelist()
        lines = archive.read("manifeste.csv").decode().splitlines()
    assert len(names) == 3 and not any("a.png" in name for name in names)
    assert lines[0] == ";".join(pieces.MANIFEST) and made.pieces[0].digest in lines[1]
    assert pieces.next_states("transmis") == ("arl_positif", "arl_negatif") and not pieces.next_states("arl_positif")
    assert set(pieces.problems()) == {f"S{rank:02d}" for rank in range(1, 13)}


TRAITS = identity.Traits("D'Artagnan de l'Hérault", "Pierre-Alain Muriel", "M", dt.date(2001, 6, 17), "63220")
INS = "101066322075460"


def test_identities_go_from_provisional_to_qualified():
    assert identity.found([(TRAITS, INS)], replace(TRAITS, family="D ARTAGNAN DE L HERAULT", given="PIERRE ALAIN", place="")) == ("00", INS)
    assert identity.found([(TRAITS, INS)], replace(TRAITS, sex="F")) == ("01", "")
    assert identity.found([(TRAITS, INS), (TRAITS, "2")], TRAITS) == ("02", "")
    start = identity.Identity(TRAITS)
    made = identity.recovered(start, INS, TRAITS)
    assert (made.state, made.oid) == ("recuperee", identity.OID)
    assert identity.moved(made, "PIECE").state == "qualifiee" and identity.moved(start, "PIECE").state == "validee"
    doubtful = identity.moved(identity.moved(made, "PIECE"), "DOUTE")
    assert (doubtful.state, doubtful.ins, doubtful.history) == ("provisoire", "", (INS,)), "a former number is kept"
    for wrong, why in ((lambda: identity.recovered(start, INS[:-1] + "9", TRAITS), "clé"), (lambda: identity.recovered(start, INS, replace(TRAITS, family="AUTRE")), "rien n’est remplacé"), (lambda: identity.moved(start, "DOUTE"), "ne change pas")):  # fmt: skip
        with pytest.raises(identity.IdentityRefused, match=why):
            wrong()


def test_the_simulator_s_identities_have_valid_keys():
    people = identity.test_identities()
    assert (
        len(people) >= 4
        and all(identity.ins_valid(ins) for _, ins in people)
        and (TRAITS, INS) in [(replace(one, given=TRAITS.given, family=TRAITS.family), ins) for one, ins in people]
    )


def test_a_fake_card_opens_its_medical_block_to_a_professional_alone(tmp_path):
    path = tmp_path / "carte.json"
    path.write_text(json.dumps({"assure": {"nir": INS[:13]}, "complementaire": {"amc": "99999999"}, "medico_administratif": {"ald": True}}))
    assert identity.FakeReader().read(professional=True).insured["nom"] == "ESSAI", "one is shipped"
    reader = identity.FakeReader(path)
    assert (
        reader.read(professional=False).medical == {}
        and reader.read(professional=True).medical == {"ald": True}
        and reader.read(professional=True).version == "6.20"
    )


METADATA = documents.Metadata(INS, "Compte rendu", "10", "11488-4", "urn:ihe:iti:xds-sd:pdf:2008", "application/pdf", "Dr Durand", NOW, DAY, DAY)


@pytest.mark.parametrize("changes, count", [
    ({}, 0), ({"ins": "1" * 15}, 1), ({"title": " "}, 1), ({"class_code": "99"}, 1), ({"type_code": ""}, 1), ({"mime": "text/html"}, 1), ({"format_code": "x"}, 1), ({"author": ""}, 1),
    ({"created": NOW + dt.timedelta(days=3)}, 1), ({"service_to": DAY - dt.timedelta(days=1)}, 1), ({"confidentiality": "Z"}, 1),
])  # fmt: skip
def test_metadata(changes, count):
    assert len(documents.wrong(replace(METADATA, **changes), NOW + dt.timedelta(days=1))) == count


def test_a_document_and_its_header_agree():
    body = f'<ClinicalDocument xmlns="urn:hl7-org:v3"><id/><code/><title>Compte rendu</title><effectiveTime/><confidentialityCode/><recordTarget><patientRole><id extension="{INS}"/></patientRole></recordTarget><author/><custodian/></ClinicalDocument>'  # fmt: skip
    assert documents.header(body.encode(), METADATA) == []
    assert (
        len(documents.header(body.replace(INS, "2").encode(), METADATA)) == 1
        and len(documents.header(body.replace("Compte rendu", "Autre").replace("<author/>", "").encode(), METADATA)) == 2
    )
    for raw in (b"<a>", b"<a/>", b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>'):
        assert len(documents.header(raw, METADATA)) == 1
    record = documents.Record()
    assert [record.submit(METADATA, []), record.submit(METADATA, ["x"])] == ["00", "10"]
    assert (documents.Record(open=False).submit(METADATA, []), documents.Record(blocked=frozenset({"Dr Durand"})).submit(METADATA, [])) == (
        "20",
        "30",
    )


def test_routes_and_deployment():
    found = fides.dispatched(invoices(file_of([person(0), person(1), replace(person(2), caisse="999")])), "751")
    assert sum(found.values()) == 3 and any(name[2:5] == "999" for name in found)
    assert fides.rate(732, 926) == 79.05
    with pytest.raises(ValueError, match="registre"):
        fides.rate(2, 1)


def test_the_printed_deployment():
    folder = SHARED / "sesam"
    if not folder.exists():
        pytest.skip("shared/data absent : les chiffres imprimés ne sont pas là")
    printed = json.loads((folder / "etude_2018_chiffres_publies.json").read_text())["fides_ace"]
    assert round(fides.rate(printed["sites_emetteurs"], printed["sites_cibles"])) == printed["taux_pct"]


@pytest.mark.parametrize("text, found", [
    ("AMC=99999999;CONVENTION=XX;CSR=00000001;ADHERENT=123", ("99999999", "XX", "00000001", "123")), ("N° AMC : 9999999999\nType convention : SP", ("9999999999", "SP", "", "")),
    ("csr:1|no amc:99999999|inconnu:x", ("99999999", "", "1", "")),
])  # fmt: skip
def test_the_code_of_an_attestation(text, found):
    read = directory.read(text)
    assert (read.amc, read.convention, read.csr, read.member) == found
    with pytest.raises(ValueError, match="organisme"):
        directory.read("CONVENTION=XX")


def test_a_directory_is_asked_once_until_it_expires():
    asked = []

    def ask(amc, convention):
        asked.append((amc, convention))
        return {"IDB": directory.Address("IDB", "V1", "https://amc.test", DAY + dt.timedelta(days=10))} if amc == "99999999" else {}

    held, known, other = directory.Directory(ask), directory.read("AMC=99999999"), directory.read("AMC=11111111")
    assert [held.services(known, DAY + dt.timedelta(days=rank)) for rank in (0, 5, 10)] == [ask("99999999", "")] * 3
    assert held.services(other, DAY) == held.services(other, DAY) == directory.UNKNOWN
    held.services(known, DAY + dt.timedelta(days=11))
    assert asked.count(("99999999", "")) == 3 and asked.count(("11111111", "")) == 1, "one is the test's own"
