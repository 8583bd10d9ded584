"""From billing lines to facts: persons replaced by pseudonyms, dates made real, places named."""

from functools import cache

import numpy as np
import pyarrow as pa

from belvedere.engine.b2.lines import Lines
from belvedere.engine.nomenclature.territories import department_rank_of_caisse, departments
from belvedere.engine.privacy import pseudonyms
from belvedere.engine.warehouse.schema import FACTS

UNKNOWN_DEPARTMENT = "XX"
_SEX = np.zeros(256, dtype=np.int8)  # by first character of the NIR
_SEX[[ord(c) for c in "1357"]], _SEX[[ord(c) for c in "2468"]] = 1, 2


@cache
def _letters() -> pa.Array:
    return pa.array([bytes([code]).decode("ascii", "replace") for code in range(256)])


@cache
def _department_names() -> pa.Array:
    return pa.array([item.code for item in departments()] + [UNKNOWN_DEPARTMENT])


def to_days(dates: np.ndarray) -> np.ndarray:
    """AAMMJJ integers of service dates (20AA) as datetime64[D]; calendar validity is the controls' business."""
    year, month, day = 2000 + dates // 10_000, dates // 100 % 100, dates % 100
    months = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
    return months.astype("datetime64[M]").astype("datetime64[D]") + (np.clip(day, 1, 31) - 1).astype("timedelta64[D]")


def ages(birth_dates: np.ndarray, act_dates: np.ndarray) -> np.ndarray:
    """Age in years at the act, from two-digit years alone: a birth year after the act's year is of 19AA.
    Month and day are not read: they may be "lunar" and a precise age would identify more than is needed."""
    birth, act = birth_dates // 10_000, act_dates // 10_000
    return act - birth + np.where(birth > act, 100, 0)


def build(lines: Lines, *, keys: pseudonyms.PseudonymKeys, member_id: int, flow_id: int) -> pa.Table:
    """The fact table of one flow, in the schema `FACTS`. No identity survives this call."""
    column, person = lines.columns, lines.patients_key
    patient = pseudonyms.patients(person["nir"], person["birth_date"], person["birth_rank"], keys)[person["invoice"]]
    act = to_days(column["act_date"])
    sex = _SEX[lines.nir[:, 0]][person["invoice"]]
    made = {
        "flow_id": np.full(len(lines), flow_id),
        "member_id": np.full(len(lines), member_id),
        "record": lines.record,
        "invoice_no": column["invoice_no"],
        "patient": patient,
        "patient_bucket": patient % pseudonyms.BUCKETS,
        "sex": sex,
        "age": ages(column["birth_date"], column["act_date"]),
        "department": pa.DictionaryArray.from_arrays(department_rank_of_caisse(column["caisse"]), _department_names()),
        "regime": column["regime"],
        "period": act.astype("datetime64[M]").astype("datetime64[D]"),
        "act_date": act,
        "invoice_date": to_days(column["invoice_date"]),
        "lpp": column["lpp"],
        "supply_type": pa.DictionaryArray.from_arrays(lines.supply_type, _letters()),
        "units": column["units"],
        "amount_base": column["amount_base"],
        "amount_amo": column["amount_amo"],
        "amount_amc": column["amount_amc"],
        "amount_billed": column["amount_billed"],
        "prescriber": pseudonyms.prescribers(column["prescriber_no"], keys),
        "prescriber_specialty": column["prescriber_specialty"],
        "nature": column["nature"],
    }
    return pa.table([_column(made[field.name], field.type) for field in FACTS], schema=FACTS)


def _column(values: np.ndarray | pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values.cast(kind)
    if pa.types.is_integer(kind):
        return pa.array(values.astype(kind.to_pandas_dtype(), copy=False))
    return pa.array(values).cast(kind)
