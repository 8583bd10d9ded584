"""Worked examples of definitions: fictitious patients, their lines, and the value that the definition must give.

An example is computed by the engine itself: its lines become facts, own figures are computed from the lines of "moi", the market
from all of them (nothing is masked in an example), and the definition's formula is asked.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from belvedere.engine.indicators import own, supplement
from belvedere.engine.indicators.definitions import Definition
from belvedere.engine.indicators.formulas import Ask, Value, evaluate, parts_of_kind
from belvedere.engine.indicators.lattice import DIMENSIONS
from belvedere.engine.nomenclature.territories import FRANCE
from belvedere.engine.secrecy.rules import Parameters
from belvedere.engine.warehouse import engine
from belvedere.engine.warehouse.objected import Objected
from belvedere.engine.warehouse.returns import RETURNS
from belvedere.engine.warehouse.schema import FACTS

ME = "moi"


@dataclass(frozen=True)
class Whole(own.OwnFigures):
    """The market of an example: every line, nothing masked; `told` is what a release tells beside its cells."""

    told: Mapping[str, Any] = field(default_factory=dict)

    def beside(self, figure: str, product: str, period: str) -> object:
        return self.told.get(figure, {}).get(product, {}).get(period)


def months_of(text: str) -> list[str]:
    """ "2025-01" or "2025-01..2025-03" as months."""
    first, _, last = text.partition("..")
    months = np.arange(np.datetime64(first, "M"), np.datetime64(last or first, "M") + 1)
    return [str(month) for month in months]


def facts(example: Mapping[str, Any]) -> tuple[pa.Table, dict[int, int]]:
    """The lines of an example as facts, one per month of a line's `mois`, and the group of each member."""
    people = example.get("patients", {})
    names: dict[str, int] = {}
    senders: dict[str, int] = {}
    rows: list[dict[str, Any]] = []
    for line in example["lines"]:
        who, group = line["patient"], line.get("de", ME)
        person = people.get(who, {})
        for month in months_of(str(line["mois"])):
            day = np.datetime64(f"{month}-{line.get('jour', 1):02d}", "D")
            billed = round(line.get("facture", 0) * 100)
            rows.append({
                "flow_id": 1, "member_id": senders.setdefault(group, len(senders) + 1), "record": len(rows) + 1,
                "invoice_no": line.get("piece", len(rows) + 1), "patient": names.setdefault(who, len(names) + 1), "patient_bucket": 0,
                "sex": person.get("sexe", 1), "age": person.get("age", 60), "department": str(person.get("departement", "59")),
                "regime": person.get("regime", 1), "period": np.datetime64(month, "D").item(), "act_date": day.item(),
                "invoice_date": (day + line.get("delai", 0)).item(), "lpp": line["code"], "supply_type": line.get("type", "L"), "units": line.get("unites", 1),
                "amount_base": round(line.get("base", line.get("facture", 0)) * 100), "amount_amo": round(line.get("rembourse", line.get("facture", 0)) * 100),
                "amount_amc": round(line.get("complementaire", 0) * 100), "amount_billed": billed, "prescriber": line.get("prescripteur", 1),
                "prescriber_specialty": line.get("specialite", 1), "nature": 0,
            })  # fmt: skip
    table = pa.table({field.name: pa.array([row[field.name] for row in rows], field.type) for field in FACTS}, schema=FACTS)
    return table, {member: member for member in senders.values()}


def returned(example: Mapping[str, Any]) -> pa.Table:
    """The payments of an example, all of "moi"."""
    rows = [
        {
            "flow_id": rank, "member_id": 1, "invoice_no": item["piece"], "lot_no": item["lot"], "lot_date": None, "answered": np.datetime64(str(item["le"]), "D").item(),
            "state": item["etat"], "asked_amo": round(item["demande"] * 100), "paid_amo": round(item.get("verse", 0) * 100),
            "asked_amc": round(item.get("complementaire", 0) * 100), "paid_amc": round(item.get("complementaire", 0) * 100),
            "code": item.get("cause"), "label": item.get("cause"),
        }
        for rank, item in enumerate(example.get("retours", ()))
    ]  # fmt: skip
    return pa.table({field.name: pa.array([row[field.name] for row in rows], field.type) for field in RETURNS}, schema=RETURNS)


def ask(definition: Definition) -> Ask:
    """The question of a definition's example."""
    codes = dict.fromkeys(DIMENSIONS, "*") | {"territory": FRANCE} | definition.example.get("cell", {})
    world = {name: definition.example[name] for name in ("patients", "lines", "retours") if name in definition.example}
    last, figures, market = _sources(json.dumps(world, default=str))
    codes["period"] = own.window(last) if codes["period"] == "*" else codes["period"]
    return Ask(definition.formula, codes, figures if definition.tier == "own" else market, figures, market)


@lru_cache(maxsize=64)
def _sources(world: str) -> tuple[str, own.OwnFigures, Whole]:
    """(last month, figures of "moi", figures of all) of an example's lines."""
    table, groups = facts(json.loads(world))
    last = max(table["period"].to_pylist()).strftime("%Y-%m")
    figures = _figures(table.filter(pa.compute.equal(table["member_id"], 1)), groups, last, returned(json.loads(world)))
    connection = engine.connect(table, groups=groups, objected=Objected(), materialise=True)
    whole = own.compute(connection, [last])
    windows = {year: months_of(f"{own.year_before(year[4:])}..{year[4:]}")[1:] for year in whole.years}
    free = Parameters(patients=1, holdings=1, dominance_share=2.0, p_percent=0.0)
    told = supplement.compute(connection, windows, lambda family, window: whole.measure("patients", product=family, period=window), free)
    market = Whole(**{name: getattr(whole, name) for name in whole.__dataclass_fields__}, told=told)
    connection.close()
    return last, figures, market


def _figures(table: pa.Table, groups: Mapping[int, int], last: str, payments: pa.Table) -> own.OwnFigures:
    connection = engine.connect(table, groups=groups, objected=Objected(), materialise=True, returned=payments)
    try:
        return own.compute(connection, [last])
    finally:
        connection.close()


def run(definition: Definition) -> Value | dict[str, Value]:
    """The value that a definition gives on its own example; a mapping of parts when the example expects one."""
    question = ask(definition)
    if isinstance(definition.example["expected"], dict):
        return {part.code: part.value for part in parts_of_kind(definition.kind, question)}
    return evaluate(definition.kind, question)
