"""The measures of a cell: what is added up or counted over invoice lines, as data.

Amounts are integer cents, days whole days. Additive measures add up over months, groups and disjoint cells;
persons and invoices are counted once wherever they stand, so theirs do not. A number that software uses again for somebody else is another invoice.

Days, bases and delays are not told of the market: durations and tariffs are public, so each would be one more equation over the codes
that are masked, and the rules of dominance look at amounts, not at them (ADR 34).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One measure: SQL over the `facts` view, French name, unit (€, j, or what is counted)."""

    name: str
    label: str
    unit: str
    sql: str
    additive: bool = True
    told: bool = True  # whether a release tells it; the others are read of one's own facts alone


_ALL = (
    Measure("patients", "patients", "patients", "count(DISTINCT patient)", additive=False),
    Measure("invoices", "factures", "factures", "count(DISTINCT (patient, invoice))", additive=False),
    Measure("lines", "lignes facturées", "lignes", "count(*)"),
    Measure("units", "unités du code", "unités", "CAST(sum(units) AS BIGINT)"),
    Measure("amount_amo", "montant remboursé (AMO)", "€", "CAST(sum(amount_amo) AS BIGINT)"),
    Measure("amount_amc", "montant complémentaire (AMC)", "€", "CAST(sum(amount_amc) AS BIGINT)"),
    Measure("amount_billed", "montant facturé (TTC)", "€", "CAST(sum(amount_billed) AS BIGINT)"),
    Measure("amount_base", "base de remboursement", "€", "CAST(sum(amount_base) AS BIGINT)", told=False),
    Measure("days", "jours de traitement", "jours", "CAST(sum(units * unit_days) AS BIGINT)", told=False),
    Measure("delay", "jours entre soins et facture", "jours", "CAST(sum(date_diff('day', act_date, invoice_date)) AS BIGINT)", told=False),
)
MEASURES = {item.name: item for item in _ALL}
ADDITIVE = {item.name: item.sql for item in _ALL if item.additive and item.told}
DISTINCT = {item.name: item.sql for item in _ALL if not item.additive and item.told}
# Told of a code alone: over a family, units beside amounts would be a second equation over its masked codes, whose tariffs are public (attack A13).
OF_CODES_ALONE = ("units",)
