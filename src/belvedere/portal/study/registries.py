"""The operator's side of the study: registries row by row or by file, the freezing of an issue, vendors' links. No figure."""

import tempfile
from pathlib import Path

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from belvedere.engine.study import inputs
from belvedere.engine.study.errors import StudyError
from belvedere.observatory.accounts.permissions import Action, check
from belvedere.observatory.study import issues
from belvedere.observatory.study import registries as kept
from belvedere.observatory.study.models import RegistryRow, VendorKey

MOST_BYTES = 10 * 1024 * 1024


def _by(request: HttpRequest) -> str:
    return f"personne:{check(request.user, Action.MANAGE_STUDY).pk}"


def _columns(table: str) -> tuple[inputs.Column, ...]:
    if table not in kept.KEPT:
        raise Http404
    return inputs.tables()[table]


@require_http_methods(["GET"])
def overview(request: HttpRequest) -> HttpResponse:
    """Registries and how many rows each holds; the frozen study; vendors' links."""
    _by(request)
    counts = [(name, kept.LABELS[name], RegistryRow.objects.filter(table=name).count()) for name in kept.KEPT]
    issue = issues.latest()
    vendors = sorted(set(issue.tiers) - {"public"}) if issue else []
    return render(request, "study/registries.html", {
        "counts": counts, "issue": issue, "next": issues.last_period(), "vendors": vendors, "keys": VendorKey.objects.order_by("vendor", "-made_at"), "token": request.session.pop("study-token", ""),
    })  # fmt: skip


@require_POST
def freeze(request: HttpRequest) -> HttpResponse:
    """Freeze the study of the last period received."""
    by = _by(request)
    try:
        made = issues.publish(by=by)
        messages.success(request, f"Étude figée : {made.low:%m/%Y} à {made.high:%m/%Y}, données {made.version}.")
    except (issues.IssueRefused, StudyError) as error:
        messages.error(request, str(error))
    return redirect("study:registries")


@require_POST
def keys(request: HttpRequest) -> HttpResponse:
    """Open a vendor's link, or close one."""
    by = _by(request)
    if number := request.POST.get("close", ""):
        issues.close_key(get_object_or_404(VendorKey, pk=number if number.isdecimal() else 0), by=by)
        messages.success(request, "Le lien est fermé.")
    elif vendor := request.POST.get("vendor", "").strip():
        request.session["study-token"] = issues.open_key(vendor=vendor, by=by)
    return redirect("study:registries")


@require_http_methods(["GET", "POST"])
def registry(request: HttpRequest, table: str) -> HttpResponse:
    """The rows of a registry; add one, or replace them all by a file."""
    by, columns = _by(request), _columns(table)
    error, given = "", {}
    if request.method == "POST":
        try:
            if upload := request.FILES.get("file"):
                if (upload.size or 0) > MOST_BYTES:
                    raise StudyError("M101", upload.name or "fichier", reason="plus de 10 Mo")
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / f"{table}.csv"
                    path.write_bytes(upload.read())
                    count = kept.replace(table=table, path=path, by=by)
                messages.success(request, f"Registre remplacé : {count} lignes.")
            else:
                given = {column.column: request.POST.get(column.column, "") for column in columns}
                kept.add(table=table, values=given, by=by)
                messages.success(request, "Ligne ajoutée.")
            return redirect("study:registry", table)
        except StudyError as refused:
            error = str(refused)
    page = Paginator(RegistryRow.objects.filter(table=table).order_by("pk"), 100).get_page(request.GET.get("page"))
    rows = [(row.pk, [row.values.get(column.column, "") for column in columns]) for row in page]
    return render(request, "study/registry.html", {
        "table": table, "label": kept.LABELS[table], "columns": columns, "fields": [(column, given.get(column.column, "")) for column in columns], "rows": rows, "page": page, "error": error,
    }, status=422 if error else 200)  # fmt: skip


@require_http_methods(["GET", "POST"])
def row(request: HttpRequest, table: str, number: int) -> HttpResponse:
    """One row, to be rectified or withdrawn."""
    by, columns = _by(request), _columns(table)
    held = get_object_or_404(RegistryRow, pk=number, table=table)
    error, given = "", held.values
    if request.method == "POST" and "withdraw" in request.POST:
        kept.withdraw(row=held, by=by)
        messages.success(request, "Ligne retirée ; le journal garde ce qu’elle disait.")
        return redirect("study:registry", table)
    if request.method == "POST":
        given = {column.column: request.POST.get(column.column, "") for column in columns}
        try:
            kept.change(row=held, values=given, by=by)
            messages.success(request, "Ligne rectifiée.")
            return redirect("study:registry", table)
        except StudyError as refused:
            error = str(refused)
    return render(request, "study/row.html", {
        "table": table, "label": kept.LABELS[table], "fields": [(column, given.get(column.column, "")) for column in columns], "number": number, "error": error,
    }, status=422 if error else 200)  # fmt: skip
