"""Numbers that carry their own check: INS (NIR), FINESS and RPPS."""

import re

INS_OIDS = {"urn:oid:1.2.250.1.213.1.4.8", "urn:oid:1.2.250.1.213.1.4.9", "urn:oid:1.2.250.1.213.1.4.10", "urn:oid:1.2.250.1.213.1.4.11"}
_INS = re.compile(r"[1-478]\d{4}(\d{2}|2A|2B)\d{8}")
_FINESS = re.compile(r"(\d{2}|2A|2B)\d{7}")


def ins_valid(number: str) -> bool:
    """Whether a matricule of 15 characters has the right key: 97 less the first 13 modulo 97, 2A counting 19 and 2B counting 18."""
    if not _INS.fullmatch(number):
        return False
    body = number[:13].replace("2A", "19").replace("2B", "18")
    return 97 - int(body) % 97 == int(number[13:])


def luhn(digits: str) -> bool:
    """Whether the last digit is Luhn's check of those before."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def finess_valid(number: str) -> bool:
    """Whether nine characters are a FINESS number: a department, an order, a Luhn key (A counts 1 and B counts 2: checked on the open file)."""
    return bool(_FINESS.fullmatch(number)) and luhn(number.replace("A", "1").replace("B", "2"))


def rpps_valid(number: str) -> bool:
    """Whether eleven digits are an RPPS number."""
    return len(number) == 11 and number.isdecimal() and luhn(number)


def finess_of(value: str) -> str:
    """The FINESS in an identifier: as it is, or with a prefix of the ANS (`3480787529/…` in TDDUI, `1480787529` as the identifier of a structure)."""
    head = value.split("/")[0]
    return head[1:] if len(head) == 10 and head[0] in "13" else head
