"""What is taken home: CSV for Excel (BOM, semicolon, decimal comma), open CSV (RFC 4180), kept PDFs."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from django.http import FileResponse, HttpResponse

Cell = str | int | float | None


def _guard(text: str) -> str:
    """A cell that a spreadsheet would run as a formula is quoted."""
    return "'" + text if text.startswith(("=", "+", "-", "@")) else text


def csv_response(name: str, header: Sequence[str], rows: Sequence[Sequence[Cell]], *, excel: bool) -> HttpResponse:
    """A CSV download; masked cells are the text "masqué", absent ones are empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=";" if excel else ",", lineterminator="\r\n")
    writer.writerow(header)
    for row in rows:
        cells = ["" if cell is None else "masqué" if cell == "masked" else cell for cell in row]
        if excel:
            cells = [str(c).replace(".", ",") if isinstance(c, float) else _guard(c) if isinstance(c, str) else c for c in cells]
        writer.writerow(cells)
    content = stream.getvalue().encode("utf-8-sig" if excel else "utf-8")
    response = HttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}{"_excel" if excel else ""}.csv"'
    return response


def pdf(path: Path, name: str) -> FileResponse:
    """A kept document, opened in the page under a name."""
    return FileResponse(path.open("rb"), content_type="application/pdf", filename=name)
