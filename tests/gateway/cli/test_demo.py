from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.demo.recordings import MODELS
from gateway.demo.report import DemoReport

ROOT = Path(__file__).parents[3]
FAST = ("--port", "0", "--rate", "15", "--speed", "20")


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", "demo", *FAST, *options]


@pytest.mark.timeout(120)
def test_a_short_demo_reports_shares_utility_promises_and_a_way_into_the_console(tmp_path: Path) -> None:
    argv = command("--seconds", "2", "--json", "--var", str(tmp_path / "var"))
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    report = msgspec.json.decode(done.stdout, type=DemoReport)
    assert (report.requests, report.failed, report.errors) == (30, 0, [])
    assert [of.tenant for of in report.tenants] == ["support-bot", "legal-analyser"]
    for tenant in report.tenants:
        assert tenant.requests == 15
        for shares in (tenant.shares_first_third, tenant.shares_last_third):
            assert set(shares) == set(MODELS)
            assert sum(shares.values()) == pytest.approx(1.0)
        assert tenant.utility is not None
        assert tenant.utility.best_fixed in MODELS
    assert [[of.promise for of in tenant.promises] for tenant in report.tenants] == [["ttft_p95_s"], ["mean_quality"]]
    assert report.slow is None or report.slow.sentence
    assert report.console.learning_url.endswith("/console/learning")
    assert report.console.operator_key in done.stderr, "shown before the traffic, to look on meanwhile"
    assert (tmp_path / "var" / "demo.yaml").exists(), "a stated directory stays"


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("kept", "sent", "code"), [(True, signal.SIGINT, 0), (False, signal.SIGINT, 1), (False, signal.SIGTERM, 1)]
)
def test_a_signal_stops_everything_in_order(tmp_path: Path, *, kept: bool, sent: signal.Signals, code: int) -> None:
    options = ("--seconds", "1", "--keep") if kept else ("--seconds", "1000")
    argv, nowhere = command(*options, "--var", str(tmp_path)), subprocess.DEVNULL
    said: list[str] = []
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE, stdout=nowhere, text=True) as process:
        assert process.stderr is not None
        stopped = threading.Timer(
            100.0, process.kill
        )  # A demo that does not end fails the test and holds up no other.
        stopped.start()
        waits = True
        for line in process.stderr:
            said.append(line)
            if waits and ("Still serving" if kept else " requests | ") in line:
                waits = False
                process.send_signal(sent)
        stopped.cancel()
    assert process.returncode == code, "".join(said)
    assert "Traceback" not in "".join(said)
    port = int(next(line for line in said if line.startswith("Console: ")).split("/console")[0].rsplit(":", 1)[1])
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port)).close()


def test_a_taken_port_is_told_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["demo", "--port", str(port)])
    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use; --port takes another one" in result.output


def test_it_takes_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "trilemma.yaml").write_text(json.dumps({}))
    result = CliRunner().invoke(main, ["--config", str(tmp_path / "trilemma.yaml"), "demo", "--port", "0"])
    assert result.exit_code == 2
    assert "takes no --config" in result.output
