"""All static checks, each run to its end: says everything that fails, not the first only."""

import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
CHECKS = (
    ("format", ["ruff", "format", "--check", "src", "tests", "tools", "benchmarks"]),
    ("lint", ["ruff", "check", "src", "tests", "tools", "benchmarks"]),
    ("types", ["mypy"]),
    ("imports", ["lint-imports"]),
    ("docs", ["python", "tools/reference.py", "--check"]),
)


def main() -> int:
    failed = []
    for name, command in CHECKS:
        done = subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True, check=False)
        print(f"{name:<8} {'ok' if done.returncode == 0 else 'ÉCHEC'}")
        if done.returncode:
            failed.append(name)
            print(done.stdout + done.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
