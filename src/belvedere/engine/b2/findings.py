"""What a control can say: one row per finding code, and the finding itself.

A finding names where and what to do, never a value that identifies a person. An error refuses what its
scope says (the file, or the invoice where the policy allows it); a warning accepts with a remark. Rules
whose source is uncertain ([I] or [M] in the norm's reference) only warn, except where nothing could be read.
"""

import csv
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files

ERROR, WARNING = "error", "warning"
EXAMPLES = 5


@dataclass(frozen=True)
class Rule:
    """One control: stable code, severity, what it refuses (file or invoice), zone, rule in short, French
    sentence, what to do, source in the norm's reference and how sure that source is."""

    code: str
    severity: str
    scope: str
    zone: str
    rule: str
    message: str
    remedy: str
    source: str
    confidence: str


@dataclass(frozen=True)
class Finding:
    """One remark on a flow: `record` is the 1-based number of the first record concerned (0: whole file),
    `examples` the numbers of the first few, `count` how many there are."""

    code: str
    severity: str
    record: int
    position: str
    message: str
    remedy: str
    count: int = 1
    examples: tuple[int, ...] = ()

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


def finding(code: str, record: int = 0, position: str = "", count: int = 1, examples: tuple[int, ...] = (), **facts: object) -> Finding:
    """A finding from the catalogue; `facts` fill the sentence (counts and totals, never identities)."""
    rule = rules()[code]
    message = rule.message.format(record=record, **facts)
    if count > 1:
        message += f" ({count} enregistrements concernés, premier cité)"
    return Finding(code, rule.severity, record, position, message, rule.remedy, count, examples or ((record,) if record else ()))


@dataclass
class Findings:
    """Findings gathered batch by batch: one per code and position, with its count and first examples."""

    _found: dict[tuple[str, str], tuple[list[int], int, dict[str, object]]] = field(default_factory=dict)

    def add(self, code: str, records: list[int], position: str = "", count: int | None = None, **facts: object) -> None:
        """Note a control's hits: `records` are the first 1-based numbers (empty: whole file), `count` all of them."""
        examples, total, kept = self._found.get((code, position), ([], 0, facts))
        examples = (examples + records)[:EXAMPLES]
        self._found[code, position] = (examples, total + (len(records) or 1 if count is None else count), kept)

    def refused(self) -> bool:
        """Whether any of them refuses the whole file."""
        return any(rules()[code].severity == ERROR and rules()[code].scope == "file" for code, _ in self._found)

    def sorted(self) -> list[Finding]:
        """All of them, by first record and code."""
        made = [
            finding(code, examples[0] if examples else 0, position, count, tuple(examples), **facts)
            for (code, position), (examples, count, facts) in self._found.items()
        ]
        return sorted(made, key=lambda item: (item.record, item.code))
