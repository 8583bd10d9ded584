"""An answer taken home: one table for every format, and what a file must say of itself.

CSV for Excel, open CSV with its Table Schema (Frictionless), XLSX with a "Lisez-moi" sheet, JSON, Parquet, SVG, PNG, PDF. All are made
from `table`, so that they say the same.
"""

import datetime as dt
import io
import json
from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter
from django.http import HttpResponse
from django.utils import timezone

from belvedere.engine.indicators.answering import content as figures_of
from belvedere.engine.indicators.answering import table, unit
from belvedere.observatory import printing
from belvedere.portal import exports
from belvedere.portal.restitutions import choices, figures
from belvedere.portal.restitutions.answering import Told

LICENCE = "Licence Ouverte 2.0"
FORMATS = {
    "csv": "CSV ouvert", "excel.csv": "CSV pour Excel", "xlsx": "Classeur Excel", "json": "JSON", "parquet": "Parquet", "schema.json": "Schéma de table",
    "svg": "Image SVG", "png": "Image PNG", "pdf": "PDF",
}  # fmt: skip


def about(answer: Told, link: str) -> dict[str, str]:
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


def file_name(answer: Told) -> str:
    """indicator_product_zone_period_version: what a file is, once out of its folder."""
    product = {"*": "toutes-familles"}.get(answer.codes["product"], answer.codes["product"]).lower().replace(",", "-")
    version = answer.release.label if answer.release and not answer.personal else f"au-{dt.date.today():%Y-%m-%d}"
    return f"{answer.definition.slug}_{product}_{answer.codes['territory'].replace(',', '-')}_{answer.codes['period']}_{version}"


def content(answer: Told, link: str) -> dict[str, object]:
    """An answer as a JSON file: what the API says, and what the file says of itself."""
    return figures_of(answer) | {"about": about(answer, link)}


def response(answer: Told, kind: str, link: str) -> HttpResponse | None:
    """The file of a format; None for one that this answer has not (no figure to draw)."""
    name = file_name(answer)
    header, rows = table(answer)
    if kind in ("csv", "excel.csv"):
        made = exports.csv_response(name, header, rows, excel=kind == "excel.csv")
        made["Link"] = f'<{link}>; rel="canonical"'
        return made
    makers: Mapping[str, tuple[str, Callable[[], bytes | None]]] = {
        "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", lambda: _xlsx(answer, link)),
        "json": ("application/json", lambda: json.dumps(content(answer, link), ensure_ascii=False, indent=1).encode()),
        "parquet": ("application/vnd.apache.parquet", lambda: _parquet(answer, link)),
        "schema.json": ("application/json", lambda: json.dumps(schema(answer, link), ensure_ascii=False, indent=1).encode()),
        "svg": ("image/svg+xml", lambda: figures.image(answer, "svg")),
        "png": ("image/png", lambda: figures.image(answer, "png")),
        "pdf": ("application/pdf", lambda: pdf(answer, link)),
    }
    media, make = makers[kind]
    body = make()
    if body is None:
        return None
    made = HttpResponse(body, content_type=media)
    made["Content-Disposition"] = f'{"inline" if kind in ("pdf", "svg", "png") else "attachment"}; filename="{name}.{kind}"'
    return made


def schema(answer: Told, link: str) -> dict[str, object]:
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


def _xlsx(answer: Told, link: str) -> bytes:
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


def _parquet(answer: Told, link: str) -> bytes:
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


def pdf(answer: Told, link: str) -> bytes:
    """The page, printed: filters, figure, table, definition and link."""
    image = figures.image(answer, "svg")
    rows = [[answer.label(row), answer.shown(row.value), answer.shown(row.own) if row.own is not None else ""] for row in answer.rows]
    data = {
        "title": answer.definition.title, "label": answer.definition.label, "why": answer.definition.why, "place": answer.place, "value": answer.text,
        "own": answer.shown(answer.own_value) if answer.own_value is not None else "", "svg": image.decode() if image else "",
        "rows": rows, "compared": any(row[2] for row in rows), "by": choices.LABELS.get(answer.by, ""), "why_not": answer.why_not,
        "about": [[name, text] for name, text in about(answer, link).items()], "day": printing.day(timezone.localdate()),
    }  # fmt: skip
    return printing.render("belvedere.portal.restitutions.texts", "page.typ", data)
