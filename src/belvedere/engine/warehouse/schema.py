"""The fact schema: one row per invoice line, column by column, with unit and source zone of the norm."""

import pyarrow as pa

_COLUMNS = (
    ("flow_id", pa.int64(), "identifiant", "numéro d’accusé du flux"),
    ("member_id", pa.int32(), "identifiant", "entité émettrice (FINESS du type 1)"),
    ("record", pa.int32(), "rang", "numéro de l’enregistrement de ligne dans le fichier"),
    ("invoice_no", pa.int64(), "numéro", "type 2, 27-35 (STD) ou 30-38 (CP)"),
    ("patient", pa.int64(), "pseudonyme", "type 2 : NIR, date et rang de naissance, jamais conservés"),
    ("patient_bucket", pa.int8(), "0 à 15", "pseudonyme modulo 16"),
    ("sex", pa.int8(), "1 homme, 2 femme, 0 inconnu", "premier chiffre du NIR"),
    ("age", pa.int16(), "années à la date des soins", "type 2, 96-101 (année seule)"),
    ("department", pa.string(), "code", "type 2, caisse 51-53 : département de la caisse d’affiliation"),
    ("regime", pa.int16(), "code", "type 2, 49-50"),
    ("period", pa.date32(), "premier jour du mois des soins", "date des soins"),
    ("act_date", pa.date32(), "date", "type 4, 68-73 (STD) ; type 3, 44-49 (CP)"),
    ("invoice_date", pa.date32(), "date", "type 2, 40-45 (STD) ; 109-114 (CP)"),
    ("lpp", pa.int32(), "code à 7 chiffres", "4F ou 3F, 43-49"),
    ("supply_type", pa.string(), "A E L P R S V", "4F, 56"),
    ("units", pa.int32(), "articles, jours, semaines ou mois", "4F, 96-97 ; 3F, 70-71"),
    ("amount_base", pa.int64(), "centimes", "type 4, 96-102 ; type 3, 83-90, répartis entre détails"),
    ("amount_amo", pa.int64(), "centimes", "type 4, 106-112 ; type 3, 94-101, répartis entre détails"),
    ("amount_amc", pa.int64(), "centimes", "type 4, 122-128 ; type 3, 122-128, répartis entre détails"),
    ("amount_billed", pa.int64(), "centimes", "type 4, 113-119 ; type 3, 102-109, répartis entre détails"),
    ("prescriber", pa.int64(), "pseudonyme", "type 2, 59-67"),
    ("prescriber_specialty", pa.int16(), "code", "type 2, 113-114"),
    ("nature", pa.int16(), "code", "type 2, 77-78"),
)

FACTS = pa.schema([pa.field(name, kind, metadata={"unit": unit, "source": source}) for name, kind, unit, source in _COLUMNS])
PSEUDONYMS = ("patient", "prescriber")


def documentation(schema: pa.Schema = FACTS) -> list[tuple[str, str, str, str]]:
    """(column, type, unit, source zone) of every column, for the reference pages."""
    return [(field.name, str(field.type), field.metadata[b"unit"].decode(), field.metadata[b"source"].decode()) for field in schema]
