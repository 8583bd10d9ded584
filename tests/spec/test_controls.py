"""What each control finds. The table is the specification: a change to a clean file, and the findings it gives."""

from pathlib import Path

import pytest

from belvedere.cli.b2tools import check_bytes, check_chunks
from belvedere.engine.b2.findings import rules
from belvedere.engine.b2.framing import frame
from belvedere.engine.b2.values import lpp_numbers
from belvedere.engine.nomenclature import lpp_reference
from tests.flows import a_file, first_of, patched, sector

title = "Contrôles d’un flux"
# (what is done to a clean file, record type, position, text written, code expected, whole flow refused)
TABLE = [
    ("total de facture faux", "5", 58, "00000001", "A504", True),
    ("total de lot faux", "6", 25, "000000001", "A505", True),
    ("nombre de factures du lot faux", "6", 11, "999", "A505", True),
    ("clé du NIR fausse", "2", 25, "00", "K201", True),
    ("NIR illisible", "2", 12, "X", "K201", True),
    ("FINESS du lot à clé fausse", "1", 2, "123456789", "K202", True),
    ("code LPP à clé fausse", "4F", 43, "1136580", "K203", False),
    ("type de prestation inconnu", "4F", 56, "Z", "C306", False),
    ("date de soins impossible", "4", 68, "250231", "D401", True),
    ("montant AMO différent de base × taux", "4", 103, "001", "A501", False),
    ("détail LPP différent de la dépense", "4F", 112, "0000001", "A503", False),
    ("lettres dans un montant", "4", 96, "ABC", "F008", True),
    ("minuscule", "000", 92, "a", "F007", False),
    ("nombre d’enregistrements faux", "999", 56, "00000001", "F005", True),
    ("nombre de lots faux", "999", 83, "099", "F006", True),
    ("numéro de fichier non répété", "999", 50, "ZZZZZZ", "F004", False),
    ("en-tête étranger dans la facture", "4", 27, "999999999", "S104", True),
    ("numéro de lot différent", "6", 52, "099", "S103", True),
    ("nombre de lignes de facture faux", "5", 39, "999", "A506", False),
    ("enregistrement déplacé", "4", 1, "6", "S101", True),
    ("norme inconnue", "000", 62, "ZZ  ", "F011", True),
    ("norme non B2", "000", 66, "B3", "F003", True),
    ("début manquant", "000", 1, "111", "F002", True),
    ("nom du prestataire non cadré", "1", 30, " ", "F009", False),
    ("fichier NOEMIE", "000", 62, "576 01", "F018", True),
    ("nombre de lots à blanc", "999", 83, "   ", "F014", False),
    ("montant AMC à blanc", "4", 122, "       ", "F014", False),
    ("séquence des détails", "4F", 37, "07", "S102", False),
    ("lot marqué test", "6", 55, "T", "S109", False),
    ("numéro de prescripteur à clé fausse", "2", 59, "123456789", "K206", False),
    ("grand régime inconnu", "2", 49, "77", "C301", False),
    ("nature d’assurance inconnue", "2", 77, "99", "C302", False),
    ("exonération inconnue", "2", 79, "Z", "C303", False),
    ("exonération de ligne inconnue", "4", 54, "Z", "C303", False),
    ("pièce justificative inconnue", "2", 58, "9", "C304", False),
    ("destinataire du règlement inconnu", "2", 115, "77", "C305", False),
    ("code prestation absent", "4", 74, "     ", "C307", False),
    ("qualificatif inconnu", "4", 120, "Z", "C308", False),
    ("accord préalable inconnu", "4", 50, "7", "C309", False),
    ("facture avant les soins", "2", 40, "250101", "D402", False),
    ("prescription après les soins", "2", 68, "251231", "D403", False),
    ("location finie avant de commencer", "4F", 83, "240101", "D404", False),
    ("soins vieux de plus d’un an", "4", 68, "231231", "D405", False),
    ("date de facture impossible", "2", 40, "251341", "D406", False),
    ("dépense sous la part AMO", "4", 113, "0000001", "A502", True),
    ("total du détail différent du prix", "4F", 98, "0000001", "A507", False),
    ("code prestation d’une autre nature", "4", 74, "VEH  ", "L601", False),
    ("tarif au-dessus de la LPP", "4F", 89, "9999999", "L602", False),
]
# The same in the family of establishments.
TABLE_CP = [
    ("ligne à date impossible", "3", 44, "250231", "D401", True),
    ("total hospitalier faux", "5", 50, "99999999", "A504", True),
    ("accord préalable inconnu", "3S", 66, "7", "C309", False),
    ("nom du bénéficiaire non cadré", "2B", 43, " ", "F009", False),
    ("code LPP à clé fausse", "3F", 43, "1136580", "K203", False),
]


@pytest.mark.parametrize("what, kind, position, text, code, refused", TABLE, ids=[row[0] for row in TABLE])
def test_control(what, kind, position, text, code, refused):
    content = a_file()
    number = first_of(content, kind)
    _, findings = check_bytes(patched(content, number, position, text))
    found = {item.code: item for item in findings}
    assert code in found, [item.code for item in findings]
    assert any(item.severity == "error" for item in findings) == refused
    if code not in ("S101", "S104", "A503", "S109", "D403", "D402", "L601"):  # these name the enclosing or a following record
        assert found[code].record == number


@pytest.mark.parametrize("what, kind, position, text, code, refused", TABLE_CP, ids=[row[0] for row in TABLE_CP])
def test_control_of_establishments(what, kind, position, text, code, refused):
    content = an_establishments_file()
    _, findings = check_bytes(patched(content, in_family_cp(content, kind), position, text))
    assert code in {item.code for item in findings}, [item.code for item in findings]
    assert any(item.severity == "error" for item in findings) == refused


def an_establishments_file() -> bytes:
    rank = next(p.rank for p in sector().providers if p.norm == "CP")
    return next(a_file(rank, month) for month in range(3) if a_file(rank, month))


def in_family_cp(content: bytes, kind: str) -> int:
    batch = frame(content)
    return int(batch.rows(kind)[0]) + 1


def renumbered(content: bytes, extra: list[bytes]) -> bytes:
    """The file with records before its 999, counted again."""
    end = bytearray(content[-128:])
    lots = 1 + sum(record[:1] == b"1" for record in extra)
    end[55:63], end[82:85] = b"%08d" % (len(content) // 128 + len(extra)), b"%03d" % lots
    return content[:-128] + b"".join(extra) + bytes(end)


def lot_of(content: bytes) -> list[bytes]:
    return [content[at : at + 128] for at in range(128, len(content) - 128, 128)]


def codes(content: bytes, **options) -> list[str]:
    return [item.code for item in check_chunks([content], **options).findings]


def test_invoices_that_come_twice_in_a_file():
    content = a_file()
    assert codes(renumbered(content, lot_of(content))) == ["S106"]
    lot = lot_of(content)
    dates = [record[:67] + b"250110" + record[73:] if record[:1] == b"4" and record[35:36] == b" " else record for record in lot]
    assert "S105" in codes(renumbered(content, dates))
    numbers = [record[:26] + b"9" + record[27:] if record[:1] in b"2345" else record for record in lot]
    assert codes(renumbered(content, numbers)) == ["S108"]


def test_two_billers_in_a_file():
    content = a_file()
    other = [record[:1] + sector().providers[1].finess.__format__("09d").encode() + record[10:] for record in lot_of(content)]
    assert "P603" in codes(renumbered(content, other))


def test_too_many_of_something():
    content = a_file()
    lines = lot_of(content)
    four = next(n for n, record in enumerate(lines) if record[:1] == b"4")
    assert "S110" in codes(content[:128] + b"".join(lines[:four] + lines[four : four + 2] * 1000 + lines[four + 2 :]) + content[-128:])
    huge = content[:128] + b"".join(lines[: four + 1]) + lines[four + 1] * 70_000
    assert codes(huge) == ["S110"]
    establishment = an_establishments_file()
    at = (in_family_cp(establishment, "3F") - 1) * 128
    assert "S111" in codes(establishment[:at] + establishment[at : at + 128] * 11 + establishment[at + 128 :])
    head, invoice, six = lines[0], [record for record in lines if record[:1] in b"2345"], lines[-1]
    assert "S112" in codes(content[:128] + head + b"".join(invoice * 6) + six + content[-128:])


def test_an_invoice_of_another_biller():
    lines = lot_of(a_file())
    last = next(n for n, record in enumerate(lines) if record[:1] == b"5") + 1
    number = f"{sector().providers[1].finess:09d}".encode()
    other = [record[:1] + number + record[10:] if 0 < n < last else record for n, record in enumerate(lines)]
    found = check_chunks([a_file()[:128] + b"".join(other) + a_file()[-128:]])
    assert found.refused and [(item.code, item.record) for item in found.findings] == [("S113", 3)]


def test_a_record_type_of_the_other_family_is_out_of_place():
    content = a_file()
    at = first_of(content, "4F") * 128
    stray = content[at - 128 : at - 128 + 35] + b"H" + content[at - 128 + 36 : at]
    assert codes(content[:at] + stray + content[at:]) == ["S101"]


def test_drugs_and_registers_of_establishments():
    establishment = an_establishments_file()
    three = (in_family_cp(establishment, "3S") - 1) * 128
    head = establishment[three : three + 26]
    number = establishment[three + 29 : three + 38]
    wrong_rpps = (head + b"000" + number + b"E01" + b"10000000001").ljust(128)
    wrong_ucd = (establishment[three + 128 : three + 164 - 1] + b"H01" + b"0000" + b" " * 6 + b"9000001" + b" ").ljust(128)
    assert "K205" in codes(establishment[: three + 128] + wrong_rpps + establishment[three + 128 :])
    assert "K204" in codes(establishment[: three + 128] + wrong_ucd + establishment[three + 128 :])


def test_the_edition_of_2003_is_told():
    establishment = an_establishments_file()
    assert "F019" in codes(patched(establishment, 2, 82, "022003"))


def test_an_imported_nomenclature_is_compared():
    content = a_file()
    batch = frame(content)
    bought = lpp_numbers(batch, "4F")
    code = int(bought[0])
    other = int(next(value for value in bought if value != code))
    row = (code, 0, lpp_reference.FOREVER, 100_000, 1, b"AAD", True)
    strict = lpp_reference._made([row], [min(code, other) * 10**7 + max(code, other)], complete=True)
    assert {"L600", "L603", "L604"} <= set(codes(content, reference=strict))
    line = (int(batch.rows("4F")[0])) * 128
    pair = content[line - 128 : line + 128]
    twin = pair[: 128 + 42] + str(other).encode() + pair[128 + 49 :]
    assert "L605" in codes(content[: line + 128] + twin + content[line + 128 :], reference=strict)


def test_clean_file_has_no_finding():
    counts, findings = check_bytes(a_file())
    assert findings == []
    assert counts["000"] == counts["999"] == 1
    assert counts["4"] == counts["4F"]


@pytest.mark.parametrize(
    "content, code, record",
    [(b"", "F000", 0), (b"   \n ", "F000", 0), (a_file()[:-1], "F001", len(a_file()) // 128), (a_file()[:-128], "F002", len(a_file()) // 128 - 1)],
    ids=["vide", "blanc", "127 caractères", "tronqué"],
)
def test_unreadable(content, code, record):
    _, findings = check_bytes(content)
    assert [item.code for item in findings] == [code]
    assert findings[0].record == record


@pytest.mark.parametrize(
    "content, code",
    [
        ("000".encode("cp500") + b"\x40" * 200, "F015"),
        (b"PK\x03\x04" + bytes(500), "F016"),
        (b"%PDF-1.7" + b" " * 500, "F016"),
        (bytes(range(256)) * 4, "F017"),
        (bytes(1000), "F017"),
        (b"0" * 1280, "F003"),
        (b"bonjour", "F002"),
        (b"\n".join([a_file()[:128].ljust(200), a_file()[128:256].ljust(200)]), "F001"),
    ],
    ids=["EBCDIC", "zip", "PDF", "binaire", "zéros binaires", "zéros", "texte", "200 caractères"],
)
def test_what_is_no_b2_file(content, code):
    assert codes(content) == [code]


def test_filler_after_the_end_is_tolerated_and_told():
    for filler in (b"\x1a", b"\n\n", bytes(128), b" " * 300):
        assert codes(a_file() + filler) == ["F013"], filler


def test_a_shifted_record_is_named():
    content = a_file()
    for record, length in ((5, 127), (9, 129)):
        at = (record - 1) * 128
        line = content[at : at + 128] + b" "
        _, findings = check_bytes(content[:at] + line[:length] + content[at + 128 :])
        assert [(item.code, item.record) for item in findings] == [("F001", record)]
        assert f"{length} caractères" in findings[0].message


def test_ten_gigabytes_of_zeros_are_refused_at_the_first_record():
    read = []

    def zeros():
        for _ in range(10_000):
            read.append(1)
            yield bytes(1_000_000)

    assert [item.code for item in check_chunks(zeros()).findings] == ["F017"]
    assert len(read) < 4


def test_every_code_of_the_catalogue_is_tested():
    text = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert [code for code in rules() if f'"{code}"' not in text] == []


def test_no_finding_shows_a_value():
    content = a_file()
    nir = content[(first_of(content, "2") - 1) * 128 + 11 :][:13].decode()
    for _, kind, position, text, *_ in TABLE:
        _, findings = check_bytes(patched(content, first_of(content, kind), position, text))
        assert all(nir not in str(item.as_dict()) for item in findings)
