"""A small sector as fact files: through B2 and the whole examination, one file a provider."""

from pathlib import Path

import pyarrow as pa

from belvedere.engine.privacy.pseudonyms import PseudonymKeys
from belvedere.engine.sector.billing import Sector, month_file
from belvedere.engine.sector.returns import month_return
from belvedere.engine.warehouse import files
from belvedere.engine.warehouse.intake import examine
from belvedere.engine.warehouse.returns import examine_return

KEYS = PseudonymKeys(b"1" * 32, b"2" * 32)


def fact_files(sector: Sector, folder: Path) -> list[Path]:
    """One fact file a provider, of all its months; members are numbered by rank + 1."""
    paths = []
    for provider in sector.providers:
        found: list[pa.Table] = []
        for month in range(sector.months):
            if clear := month_file(sector, provider.rank, month):
                examine([clear], keys=KEYS, flow_id=month + 1, identify=lambda _, rank=provider.rank: rank + 1, write=found.append)
        if found:
            paths.append(folder / f"{provider.rank}.parquet")
            files.write(pa.concat_tables(found), paths[-1])
    return paths


def payment_files(sector: Sector, folder: Path, rank: int = 0) -> list[Path]:
    """The returns to a provider, one file a month."""
    paths = []
    for month in range(sector.months):
        found: list[pa.Table] = []
        examine_return([month_return(sector, rank, month)], flow_id=month + 1, identify=lambda _: rank + 1, write=found.append)
        if found:
            paths.append(folder / f"r{rank}-{month}.parquet")
            files.write(pa.concat_tables(found), paths[-1])
    return paths
