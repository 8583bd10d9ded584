"""What a control can say: one row per finding code, and the finding itself.

A finding names where and what to do, never a value that identifies a person. `ERROR` refuses the
flow; `WARNING` accepts it with a remark. Rules tagged uncertain in the norm's reference only warn.
"""

import csv
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Rule:
    """One control: stable code, severity, French sentence, what to do, source in the norm."""

    code: str
    severity: str
    message: str
    remedy: str
    source: str


@dataclass(frozen=True)
class Finding:
    """One remark on a flow: `record` is the 1-based number of the record in the file (0: whole file)."""

    code: str
    severity: str
    record: int
    position: str
    message: str
    remedy: str
    count: int = 1

    def as_dict(self) -> dict:
        return asdict(self)


class B2Error(Exception):
    """A flow that cannot be read as B2 at all; carries its finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.code} : {finding.message}")
        self.finding = finding


@cache
def rules() -> dict[str, Rule]:
    """The catalogue of controls, by code."""
    with (files(__package__) / "findings.csv").open(encoding="utf-8") as stream:
        return {row["code"]: Rule(**row) for row in csv.DictReader(stream)}


def finding(code: str, record: int = 0, position: str = "", count: int = 1, **facts: object) -> Finding:
    """A finding from the catalogue; `facts` fill the sentence (counts and totals, never identities)."""
    rule = rules()[code]
    message = rule.message.format(record=record, **facts)
    if count > 1:
        message += f" ({count} enregistrements concernés, premier cité)"
    return Finding(code, rule.severity, record, position, message, rule.remedy, count)
