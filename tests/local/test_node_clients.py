"""Azure's clients for Node, unmodified, against a local workspace over TLS."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from logging_azmon.local import Workspace

NODE = Path(__file__).parent / "node"
LIMIT_SECONDS = 120.0

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules").is_dir(),
    reason="needs Node and `npm ci --prefix tests/local/node`, which .ci/run does",
)


def test_azures_clients_for_node_upload_rows_and_read_them_back():
    with Workspace(tls=True) as ws:
        done = subprocess.run(
            ["node", str(NODE / "clients.mjs")],
            env={**os.environ, **ws.environment, **ws.trust_environment},
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        (row,) = ws.rows("App_CL")
    assert (row["Message"], row["Line"], row["Properties"]) == ("from node", 7, {"a": [1]})
    assert found["refused"] == ["InvalidStream"]
    for version in ("", "/v1"):
        assert [cells[:3] for cells in found[f"query{version}"]] == [["from node", 7, {"a": [1]}]]
        assert found[f"mistake{version}"] == "BadArgumentError"
    assert found["time"] is True
    assert found["first"] == [[1]]
    assert found["second"] != "Success"
