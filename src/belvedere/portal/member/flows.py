"""Presenter of "Mes flux": what came, what is wrong with it and why, by which software, what is missing."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from belvedere.engine.b2.findings import rules
from belvedere.observatory.collect.models import COUNTED, SETTLED, Flow, State
from belvedere.portal import numbers

EXAMPLES = 3
_COUNT = re.compile(r" \(\d+ enregistrements concernés, premier cité\)$")
MONTHS = 12


@dataclass(frozen=True)
class Cause:
    """One finding code over all flows: where it was seen last, and how often."""

    code: str
    refuses: bool
    message: str
    remedy: str
    flows: int
    records: int
    examples: tuple[tuple[int, int, str], ...]  # receipt, record, position
    bar: float


@dataclass(frozen=True)
class Software:
    """One version of a billing software: its flows, how many were clean, month after month."""

    name: str
    flows: int
    clean: float | None
    trend: str
    last: str


@dataclass(frozen=True)
class FlowsPage:
    """Everything the page shows; no tile when nothing ever came."""

    flows: Sequence[Flow]
    tiles: tuple[tuple[str, str, str], ...]
    causes: tuple[Cause, ...]
    software: tuple[Software, ...]
    states: tuple[tuple[str, str, int, bool], ...]
    chosen: str
    total: int


def present(flows: Sequence[Flow], chosen: str = "") -> FlowsPage:
    """The page of a group's flows, newest first; `chosen` keeps one state in the list."""
    settled = [flow for flow in flows if flow.state in SETTLED]
    real = [flow for flow in settled if not flow.test]
    counted = [flow for flow in real if flow.state in COUNTED]
    clean = sum(flow.state == State.ACCEPTED for flow in counted)
    tiles = (
        ("Flux reçus", numbers.integer(len(flows)), _plural(sum(flow.test for flow in flows), "essai")),
        ("Sans remarque", numbers.percent(clean / len(counted), 0) if counted else numbers.NOT_AVAILABLE, f"de {_plural(len(counted), 'flux compté')}"),
        ("Refusés", numbers.integer(sum(flow.state == State.REFUSED for flow in real)), _plural(sum(flow.refused_invoices for flow in real), "facture refusée")),
        ("Déjà reçus", numbers.integer(sum(flow.state == State.DUPLICATE for flow in real)), _plural(sum(flow.replaced_invoices for flow in real), "facture remplacée")),
    )  # fmt: skip
    states = tuple((code, State(code).label, count, code == chosen) for code in State.values if (count := sum(flow.state == code for flow in flows)))
    listed = [flow for flow in flows if not chosen or flow.state == chosen]
    return FlowsPage(listed[:100], tiles if flows else (), _causes(settled), _software(counted), states, chosen, len(listed))


def _plural(count: int, word: str) -> str:
    first, *rest = word.split(" ")
    plural = first if first.endswith(("x", "s")) else first + "s"
    return f"{numbers.integer(count)} {' '.join([plural, *(item + 's' for item in rest)]) if count > 1 else word}"


def _causes(flows: Sequence[Flow]) -> tuple[Cause, ...]:
    seen: dict[str, list[tuple[Flow, dict]]] = defaultdict(list)
    for flow in flows:
        for item in flow.findings:
            seen[item["code"]].append((flow, item))
    most = max((len(rows) for rows in seen.values()), default=1)
    causes = []
    for code, rows in seen.items():
        places = [(flow.pk, record, item["position"]) for flow, item in rows for record in item.get("examples") or [item["record"]]]
        rule = rules().get(code)
        causes.append(Cause(
            code=code, refuses=rows[0][1]["severity"] == "error", message=_COUNT.sub("", rows[0][1]["message"]),
            remedy=rule.remedy if rule else "", flows=len({flow.pk for flow, _ in rows}), records=sum(item["count"] for _, item in rows),
            examples=tuple(places[:EXAMPLES]), bar=len(rows) / most * 100,
        ))  # fmt: skip
    return tuple(sorted(causes, key=lambda cause: (not cause.refuses, -cause.flows, cause.code)))


def _software(flows: Sequence[Flow]) -> tuple[Software, ...]:
    by_name: dict[str, list[Flow]] = defaultdict(list)
    for flow in flows:
        if flow.kind == "noemie":
            continue
        by_name[flow.software or "Logiciel non déclaré"].append(flow)
    made = []
    for name, rows in by_name.items():
        by_month: dict[str, list[bool]] = defaultdict(list)
        for flow in rows:
            by_month[f"{flow.period_to or flow.received_at:%Y-%m}"].append(flow.state == State.ACCEPTED)
        trend = [sum(values) / len(values) for _, values in sorted(by_month.items())][-MONTHS:]
        clean = sum(flow.state == State.ACCEPTED for flow in rows) / len(rows)
        made.append(Software(name, len(rows), clean, _trend(trend), f"{max(by_month)}"))
    return tuple(sorted(made, key=lambda item: -item.flows))


def _trend(shares: Sequence[float], width: int = 120, height: int = 24) -> str:
    """Path of a share between 0 and 1, on a fixed scale so that softwares compare."""
    if len(shares) < 2:
        return ""
    step = (width - 4) / (len(shares) - 1)
    return "M" + " L".join(f"{2 + rank * step:.1f},{height - 3 - share * (height - 6):.1f}" for rank, share in enumerate(shares))
