"""A Spark Connect server in this process (pysail): the light double of a Spark cluster; or the cluster that BELVEDERE_TEST_SPARK names."""

import os
from contextlib import contextmanager

import pytest


@contextmanager
def served():
    """The address of a server, for as long as the block lasts."""
    if real := os.environ.get("BELVEDERE_TEST_SPARK"):
        yield real
        return
    spark = pytest.importorskip("pysail.spark", reason="pysail n’a pas de paquet pour cette machine")
    server = spark.SparkConnectServer(port=0)
    server.start(background=True)
    host, port = server.listening_address
    try:
        yield f"sc://{host}:{port}"
    finally:
        server.stop()
