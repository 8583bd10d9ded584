"""An answer taken home: one table for every format, and what a file must say of itself.

CSV for Excel, open CSV with its Table Schema (Frictionless), XLSX with a "Lisez-moi" sheet, JSON, Parquet, SVG, PNG, PDF. All are made
from `table`, so that they say the same.
"""

import datetime as dt
import io
import json
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter
from django.http import HttpResponse
from django.utils import timezone

from belvedere.engine.secrecy.answers import Refused
from belvedere.observatory import printing
from belvedere.portal import exports, numbers
from belvedere.portal.restitutions import choices, figures
from belvedere.portal.restitutions.answering import Answer

LICENCE = "Licence Ouverte 2.0"
FORMATS = {
    "csv": "CSV ouvert", "excel.csv": "CSV pour Excel", "xlsx": "Classeur Excel", "json": "JSON", "parquet": "Parquet", "schema.json": "Schéma de table",
    "svg": "Image SVG", "png": "Image PNG", "pdf": "PDF",
}  # fmt: skip
Cell = str | int | float | None


def unit(answer: Answer) -> str:
    """Unit of the exported numbers: amounts are in euros, rates between 0 and 1."""
    display = answer.definition.display
    return {"euros": "€", "euros_cents": "€", "pourcent": "ratio", "variation": "ratio", "points": "ratio"}.get(display, answer.definition.unit)


def number(answer: Answer, value: object) -> Cell:
    """A value as files carry it: euros, never cents; "masked" kept, what is refused or absent empty."""
    if isinstance(value, Refused):
        return None
    if isinstance(value, int | float) and answer.definition.display in ("euros", "euros_cents"):
        return round(value / 100, 2) if answer.definition.display == "euros" else round(value / 100, 4)
    return value  # type: ignore[return-value]


def table(answer: Answer) -> tuple[list[str], list[list[Cell]]]:
    """(header, rows) of an answer: its total, its rows, then its months."""
    compared = answer.own is not None and not answer.personal
    header = ["type", "code", "libelle", "valeur", *(["vous"] if compared else [])]

    def row(kind: str, code: str, label: str, value: object, own: object) -> list[Cell]:
        return [kind, code, label, number(answer, value), *([number(answer, own)] if compared else [])]

    rows = [row("total", answer.codes["territory"], answer.place, answer.value, answer.own_value)]
    if answer.by != "mois":
        rows += [row(answer.by or "part", item.code, item.label, item.value, item.own) for item in answer.rows]
    rows += [row("mois", item.code, item.label, item.value, item.own) for item in answer.series]
    return header, rows


def about(answer: Answer, link: str) -> dict[str, str]:
    """What a file says of itself: query, release, definition, secrecy, coverage, permalink, date, licence."""
    definition = answer.definition
    release = answer.release
    return {
        "Indicateur": definition.label, "Question": definition.title, "Champ": answer.place, "Calcul": definition.said or definition.label,
        "Unité des valeurs": unit(answer), "Version de la définition": str(definition.version),
        "Chiffres du marché": f"publication {release.label}, {release.groups} groupes" if release and not answer.personal else "aucun",
        "Chiffres propres": "en direct, réservés à votre groupe" if answer.personal or answer.own is not None else "aucun",
        "Couverture": "les seuls adhérents de l’observatoire",
        "Masqué": "moins de 11 patients, moins de 3 groupes, ou valeur qui permettrait d’en déduire une autre ; une case vide n’est pas calculée, 0 est un vrai zéro",
        "À savoir": definition.caution or "—", "Lien permanent": link, "Extrait le": timezone.localtime().strftime("%d/%m/%Y %H:%M"),
        "Licence": "usage interne" if answer.personal or answer.own is not None else LICENCE,
    }  # fmt: skip


def file_name(answer: Answer) -> str:
    """indicator_product_zone_period_version: what a file is, once out of its folder."""
    product = {"*": "toutes-familles"}.get(answer.codes["product"], answer.codes["product"]).lower().replace(",", "-")
    version = answer.release.label if answer.release and not answer.personal else f"au-{dt.date.today():%Y-%m-%d}"
    return f"{answer.definition.slug}_{product}_{answer.codes['territory'].replace(',', '-')}_{answer.codes['period']}_{version}"


def content(answer: Answer, link: str) -> dict[str, object]:
    """An answer as JSON, for the API and for files."""
    header, rows = table(answer)
    return {
        "indicator": answer.definition.slug, "definition_version": answer.definition.version, "release": answer.release.label if answer.release else None,
        "query": answer.view.to_params(), "unit": unit(answer), "value": number(answer, answer.value),
        "masked": answer.value == "masked", "refused": answer.value.why if isinstance(answer.value, Refused) else None,
        "rows": [dict(zip(header, row, strict=True)) for row in rows], "about": about(answer, link),
    }  # fmt: skip


def response(answer: Answer, kind: str, link: str) -> HttpResponse | None:
    """The file of a format; None for one that this answer has not (no figure to draw)."""
    name = file_name(answer)
    header, rows = table(answer)
    if kind in ("csv", "excel.csv"):
        made = exports.csv_response(name, header, rows, excel=kind == "excel.csv")
        made["Link"] = f'<{link}>; rel="canonical"'
        return made
    makers: Mapping[str, tuple[str, object]] = {
        "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", lambda: _xlsx(answer, link)),
        "json": ("application/json", lambda: json.dumps(content(answer, link), ensure_ascii=False, indent=1).encode()),
        "parquet": ("application/vnd.apache.parquet", lambda: _parquet(answer, link)),
        "schema.json": ("application/json", lambda: json.dumps(schema(answer, link), ensure_ascii=False, indent=1).encode()),
        "svg": ("image/svg+xml", lambda: figures.image(answer, "svg")),
        "png": ("image/png", lambda: figures.image(answer, "png")),
        "pdf": ("application/pdf", lambda: pdf(answer, link)),
    }
    media, make = makers[kind]
    body = make()  # type: ignore[operator]
    if body is None:
        return None
    made = HttpResponse(body, content_type=media)
    made["Content-Disposition"] = f'{"inline" if kind in ("pdf", "svg", "png") else "attachment"}; filename="{name}.{kind}"'
    return made


def schema(answer: Answer, link: str) -> dict[str, object]:
    """The open CSV described: a Frictionless Data Package with its Table Schema."""
    header, _ = table(answer)
    described = {
        "type": ("string", "total, regroupement ou mois"), "code": ("string", "code officiel (INSEE, LPP, mois AAAA-MM)"), "libelle": ("string", "libellé"),
        "valeur": ("number", f"{answer.definition.label}, {unit(answer)}"), "vous": ("number", f"la même chose chez vous, {unit(answer)}"),
    }  # fmt: skip
    fields = [{"name": name, "type": described[name][0], "description": described[name][1]} for name in header]
    resource = {
        "name": answer.definition.slug, "path": f"{file_name(answer)}.csv", "mediatype": "text/csv", "encoding": "utf-8",
        "schema": {"fields": fields, "missingValues": ["", "masqué"]},
    }  # fmt: skip
    licence = [{"name": "etalab-2.0", "title": LICENCE}] if not answer.personal and answer.own is None else []
    return {"name": answer.definition.slug, "title": answer.definition.title, "homepage": link, "licenses": licence, "resources": [resource]}


def _xlsx(answer: Answer, link: str) -> bytes:
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    bold, wrap = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
    sheet, read = book.add_worksheet("Données"), book.add_worksheet("Lisez-moi")
    header, rows = table(answer)
    for column, name in enumerate(header):
        sheet.write_string(0, column, name, bold)
    for line, row in enumerate(rows, start=1):
        for column, cell in enumerate(row):
            if isinstance(cell, int | float):
                sheet.write_number(line, column, cell)
            elif cell is not None:
                sheet.write_string(line, column, "masqué" if cell == "masked" else cell)
    sheet.set_column(2, 2, 48)
    sheet.freeze_panes(1, 0)
    for line, (name, text) in enumerate(about(answer, link).items()):
        read.write_string(line, 0, name, bold)
        read.write_string(line, 1, text, wrap)
    read.set_column(0, 0, 26)
    read.set_column(1, 1, 100)
    book.close()
    return buffer.getvalue()


def _parquet(answer: Answer, link: str) -> bytes:
    header, rows = table(answer)
    columns = list(zip(*rows, strict=True))
    made: dict[str, pa.Array] = {}
    for name, values in zip(header, columns, strict=True):
        if name in ("valeur", "vous"):
            made[name] = pa.array([float(v) if isinstance(v, int | float) else None for v in values], pa.float64())
            made[f"{name}_etat"] = pa.array(["dit" if isinstance(v, int | float) else "masqué" if v == "masked" else v or "absent" for v in values])
        else:
            made[name] = pa.array(values, pa.string())
    buffer = io.BytesIO()
    pq.write_table(pa.table(made).replace_schema_metadata(about(answer, link)), buffer)
    return buffer.getvalue()


def pdf(answer: Answer, link: str) -> bytes:
    """The page, printed: filters, figure, table, definition and link."""
    image = figures.image(answer, "svg")
    rows = [[row.label, answer.shown(row.value), answer.shown(row.own) if row.own is not None else ""] for row in answer.rows]
    data = {
        "title": answer.definition.title, "label": answer.definition.label, "why": answer.definition.why, "place": answer.place, "value": answer.text,
        "own": answer.shown(answer.own_value) if answer.own_value is not None else "", "svg": image.decode() if image else "",
        "rows": rows, "compared": any(row[2] for row in rows), "by": choices.LABELS.get(answer.by, ""), "why_not": answer.why_not,
        "about": [[name, text] for name, text in about(answer, link).items()], "day": printing.day(timezone.localdate()),
    }  # fmt: skip
    return printing.render("belvedere.portal.restitutions.texts", "page.typ", data)


__all__ = ["FORMATS", "about", "content", "file_name", "numbers", "pdf", "response", "schema", "table", "unit"]
