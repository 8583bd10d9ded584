"""The metadata of a flow, written in the transaction that settles it."""

import datetime as dt

from belvedere.engine.warehouse.intake import Examined
from belvedere.observatory.collect.models import Flow
from belvedere.observatory.study.models import FlowMark


def month_of(text: str, received: dt.date) -> dt.date:
    """The month of a lot (AAMMJJ), else that of its reception."""
    try:
        return dt.date(2000 + int(text[:2]), int(text[2:4]), 1)
    except ValueError:
        return received.replace(day=1)


def write(flow: Flow, found: Examined, *, site: str) -> FlowMark:
    """Keep what the study needs of a counted flow."""
    lot = found.lot
    return FlowMark.objects.create(
        flow=flow, site=site, month=month_of(lot.get("month", ""), flow.received_at.date()), category=lot.get("category", "")[:3], legal=lot.get("legal", "")[:2],
        approval=lot.get("approval", "").strip("0 ")[:12], vendor_text=flow.software, crypto=flow.crypto, algorithm=flow.algorithm, invoices=flow.invoices,
    )  # fmt: skip
