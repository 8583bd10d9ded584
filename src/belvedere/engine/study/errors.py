"""What the study refuses, with stable codes: what, where (file, line), and what to do (`errors.csv`)."""

import csv
from functools import cache
from importlib.resources import files


@cache
def catalogue() -> dict[str, tuple[str, str]]:
    """Code -> (what, what to do), as French patterns."""
    rows = csv.DictReader((files(__package__) / "errors.csv").read_text(encoding="utf-8").splitlines())
    return {row["code"]: (row["what"], row["do"]) for row in rows}


class StudyError(ValueError):
    """Input of which no study can be made. `code` is stable, `where` names the file and line."""

    def __init__(self, code: str, where: str, /, **facts: str) -> None:
        what, do = (text.format(**facts) for text in catalogue()[code])
        self.code, self.where, self.what, self.do = code, where, what, do
        super().__init__(f"{code} · {where} · {what}. {do}")
