"""A real Spark standalone cluster on loopback: one master, two workers, a Connect server, each a process of its own.

Spark comes from the package index into an environment of its own (`make spark`): its package and the thin client have the same name. It takes
the system's Java (17 or later). `with cluster() as address:` gives the `sc://` address and ends every process after the block.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / "build" / "spark"
WORKERS = 2


def home() -> Path:
    """Where Spark lies; exits saying what to do when it, or Java, is missing."""
    found = next(ENVIRONMENT.glob("lib/python*/site-packages/pyspark"), None)
    if found is None:
        sys.exit("Spark manque : lancez « make spark ».")
    if shutil.which("java") is None:
        sys.exit("Java manque : installez un environnement d’exécution Java 17 ou plus récent (paquet « openjdk-17-jre-headless » de Debian).")
    return found


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(port: int, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"Spark s’est arrêté :\n{log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    sys.exit("Spark ne répond pas.")


@contextlib.contextmanager
def cluster(memory: str = "2g", driver: str = "2g") -> Iterator[str]:
    """The Connect address of a fresh cluster; `memory` is each executor's."""
    spark, processes = home(), []
    with tempfile.TemporaryDirectory(prefix="belvedere-spark-") as name:
        folder = Path(name)
        environment = os.environ | {
            "SPARK_HOME": str(spark), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(folder / "local"), "SPARK_WORKER_DIR": str(folder / "work"),
            "SPARK_LOG_DIR": str(folder), "PYSPARK_PYTHON": sys.executable,
        }  # fmt: skip

        def start(label: str, *command: str) -> tuple[subprocess.Popen, Path]:
            log = folder / f"{label}.log"
            with log.open("w") as stream:
                process = subprocess.Popen([*command], env=environment, stdout=stream, stderr=stream, start_new_session=True)
            processes.append(process)
            return process, log

        bin_ = spark / "bin"
        master, connect = _port(), _port()
        try:
            started = start("master", str(bin_ / "spark-class"), "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(master), "--webui-port", str(_port()))  # fmt: skip
            _wait(master, *started)
            for rank in range(WORKERS):
                start(f"worker{rank}", str(bin_ / "spark-class"), "org.apache.spark.deploy.worker.Worker", f"spark://127.0.0.1:{master}", "--host", "127.0.0.1", "--cores", "1", "--memory", memory, "--webui-port", str(_port()))  # fmt: skip
            started = start(
                "connect", str(bin_ / "spark-submit"), "--master", f"spark://127.0.0.1:{master}", "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
                "--conf", f"spark.connect.grpc.binding.port={connect}", "--conf", "spark.connect.grpc.binding.address=127.0.0.1", "--conf", f"spark.executor.memory={memory}",
                "--conf", f"spark.driver.memory={driver}", "--conf", "spark.ui.enabled=false", "--conf", "spark.sql.shuffle.partitions=8", "--conf", "spark.sql.session.timeZone=UTC",
                "--conf", "spark.sql.ansi.enabled=false", "--conf", "spark.driver.host=127.0.0.1", "--conf", "spark.driver.bindAddress=127.0.0.1", "spark-internal",
            )  # fmt: skip
            _wait(connect, *started)
            yield f"sc://127.0.0.1:{connect}"
        finally:
            for process in reversed(processes):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
            for process in processes:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(15)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def main() -> int:
    """Run a command with BELVEDERE_TEST_SPARK set to a fresh cluster's address."""
    with cluster() as address:
        return subprocess.call(sys.argv[1:], env=os.environ | {"BELVEDERE_TEST_SPARK": address})


if __name__ == "__main__":
    sys.exit(main())
