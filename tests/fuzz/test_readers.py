"""Run the fuzzer for a fixed number of inputs, always the same ones; `make fuzz` runs it for longer."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris has no wheel for this machine")

ROOT = Path(__file__).resolve().parents[2]
RUNS = 1500


@pytest.mark.slow
def test_no_input_breaks_a_reader(tmp_path: Path) -> None:
    options = [f"-runs={RUNS}", "-seed=1", "-max_len=8192", "-timeout=60", f"-artifact_prefix={tmp_path}/"]
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.fuzz.readers", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    inputs = [path.read_bytes() for path in tmp_path.iterdir()]
    assert ended.returncode == 0, f"{inputs}\n{ended.stderr[-3000:]}"
    assert f"Done {RUNS} runs" in ended.stderr
