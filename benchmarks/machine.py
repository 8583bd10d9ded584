"""What a measure was taken on: a figure without its machine says nothing."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("duckdb", "pyarrow", "numpy", "Django")
CPUINFO = Path("/proc/cpuinfo")


def described(cores: int | None = None) -> dict[str, object]:
    """Processor, cores that the measure may use (all, unless said), memory, system, Python and the libraries that do the work."""
    told = CPUINFO.read_text() if CPUINFO.exists() else ""
    model = next((line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("model name")), platform.processor())
    return {
        "machine": f"{model or platform.machine()} ({platform.machine()}), {platform.system()} {platform.release()}",
        "cores": cores or os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
