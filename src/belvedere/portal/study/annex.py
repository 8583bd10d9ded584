"""The files of a study: one CSV a table, a workbook, a PDF, and what names the data they come from."""

import csv
import datetime as dt
import io
import json
from collections.abc import Sequence

import xlsxwriter

from belvedere.engine.study.market import Cell, Study
from belvedere.engine.study.tiers import GOVERNANCE, Told
from belvedere.observatory import printing
from belvedere.portal.exports import _guard
from belvedere.portal.study.document import Document


def _plain(value: Cell) -> str | int | float:
    return "" if value is None else f"{value:%Y-%m-%d}" if isinstance(value, dt.date) else value


def table_csv(told: Told) -> bytes:
    """A table as open CSV (RFC 4180), its columns under their French labels."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([f"{column.label} ({column.unit})" if column.unit else column.label for column in told.columns])
    writer.writerows([[_guard(cell) if isinstance(cell, str) else cell for cell in map(_plain, row)] for row in told.rows])
    return out.getvalue().encode()


def workbook(told: Sequence[Told], document: Document) -> bytes:
    """Every table on its own sheet, the first one saying what each is."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    bold, wrap = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
    read = book.add_worksheet("Lisez-moi")
    read.set_column(0, 0, 10)
    read.set_column(1, 4, 44)
    for at, line in enumerate((document.title, document.period, document.reader, f"Données {document.version}, {document.rows} lignes lues")):
        read.write_string(at, 0, line, bold if at == 0 else None)
    for at, label in enumerate(("Table", "Titre", "Définition", "Population", "Source")):
        read.write_string(5, at, label, bold)
    for line, one in enumerate(told, start=6):
        for at, value in enumerate(
            (one.definition.code, one.definition.title, one.definition.definition, one.definition.population, one.definition.source)
        ):
            read.write_string(line, at, value, wrap)
        sheet = book.add_worksheet(one.definition.code)
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(one.columns), 20)
        for at, column in enumerate(one.columns):
            sheet.write_string(0, at, f"{column.label} ({column.unit})" if column.unit else column.label, bold)
        for row, values in enumerate(one.rows, start=1):
            for at, value in enumerate(map(_plain, values)):
                sheet.write_number(row, at, value) if isinstance(value, int | float) else sheet.write_string(row, at, value)
    book.close()
    return buffer.getvalue()


def pdf(document: Document, day: dt.date) -> bytes:
    """The study, printed."""
    sections = [
        {
            "code": one.code, "title": one.title, "question": one.question, "svg": one.svg, "header": [[label, kind == "num"] for label, kind in one.header], "rows": [[cell for cell, _ in row] for row in one.rows],
            "left": one.left_out, "quartiles": one.quartiles, "footnote": [list(pair) for pair in one.footnote],
        }
        for one in document.sections
    ]  # fmt: skip
    return printing.render("belvedere.portal.study.texts", "etude.typ", {
        "title": document.title, "period": document.period, "before": document.before, "reader": document.reader, "version": document.version, "rows": document.rows,
        "sections": sections, "empty": [list(one) for one in document.empty], "unmapped": list(document.unmapped), "day": printing.day(day),
    })  # fmt: skip


def manifest(study: Study, told: Sequence[Told], tier: str) -> bytes:
    """What names the data and the queries: two runs that have the same one have the same figures."""
    return json.dumps({
        "periode": str(study.period), "version": tier, "donnees": study.version, "lignes": study.rows, "tables": {one.definition.code: {"requete": one.definition.digest, "lignes": len(one.rows)} for one in told},
        "noms_a_rattacher": list(study.unmapped) if tier == GOVERNANCE else [],
    }, ensure_ascii=False, indent=1).encode()  # fmt: skip
