"""What each control finds. The table is the specification: a change to a clean file, and the findings it gives."""

import pytest

from belvedere.cli.b2 import check_bytes
from tests.flows import a_file, first_of, patched

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
]


@pytest.mark.parametrize("what, kind, position, text, code, refused", TABLE, ids=[row[0] for row in TABLE])
def test_control(what, kind, position, text, code, refused):
    content = a_file()
    number = first_of(content, kind)
    _, findings = check_bytes(patched(content, number, position, text))
    found = {item.code: item for item in findings}
    assert code in found, [item.code for item in findings]
    assert any(item.severity == "error" for item in findings) == refused
    if code not in ("S101", "S104", "A503"):  # these name the enclosing or the following record
        assert found[code].record == number


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


def test_no_finding_shows_a_value():
    content = a_file()
    nir = content[(first_of(content, "2") - 1) * 128 + 11 :][:13].decode()
    for _, kind, position, text, *_ in TABLE:
        _, findings = check_bytes(patched(content, first_of(content, kind), position, text))
        assert all(nir not in str(item.as_dict()) for item in findings)
