"""What a deposit may be told: one row a rule, and the finding itself with its place (a FHIRPath)."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Rule:
    """One rule: stable identifier, severity, FHIR issue type, French sentence, what to do."""

    rule: str
    severity: str
    issue: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Remark:
    """One remark: the rule, where (FHIRPath in the bundle), and a detail that names no person."""

    rule: str
    where: str
    detail: str = ""

    @property
    def about(self) -> Rule:
        return rules()[self.rule]


class Refused(Exception):
    """What only the making ready of a deposit can see; carries its remark."""

    def __init__(self, rule: str, where: str) -> None:
        super().__init__(rule)
        self.remark = Remark(rule, where)


@cache
def rules() -> dict[str, Rule]:
    """Every rule by identifier."""
    with (files(__package__) / "rules.csv").open(encoding="utf-8") as stream:
        return {row["rule"]: Rule(**row) for row in csv.DictReader(stream)}


def refuses(remarks: list[Remark]) -> bool:
    """Whether one of the remarks is an error."""
    return any(remark.about.severity == ERROR for remark in remarks)


MOST_TOLD = 100


def kept(remarks: list[Remark]) -> list[Remark]:
    """The remarks that are told and stored, errors first: however many warnings there are, none hides what refuses."""
    return sorted(remarks, key=lambda remark: remark.about.severity != ERROR)[:MOST_TOLD]


def outcome(remarks: list[Remark], note: str = "") -> dict:
    """The remarks as an OperationOutcome; `note` when there is none."""
    issues = [
        {
            "severity": remark.about.severity, "code": remark.about.issue,
            "details": {"coding": [{"system": "urn:belvedere:regles", "code": remark.rule}], "text": remark.about.message},
            "diagnostics": " ".join(filter(None, (remark.detail and f"{remark.detail} :", remark.about.remedy))),
            **({"expression": [remark.where]} if remark.where else {}),
        }
        for remark in remarks
    ]  # fmt: skip
    return {
        "resourceType": "OperationOutcome",
        "issue": issues or [{"severity": "information", "code": "informational", "diagnostics": note or "Aucune remarque."}],
    }
