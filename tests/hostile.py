"""Names of a tenant, a meter or a file that would run a script where a page wrote them as HTML."""

from expectations.gate import run_gate
from expectations.suites.oltp import meter_readings as readings
from expectations.verdicts import Verdict
from tests.gates.test_gate import DAY, readings_profile

MARK = "document.documentElement.dataset.owned=1"
NAMES = (
    f"</td></div><script>{MARK}</script>",
    f'"><img src=x onerror="{MARK}">',
    f"'><svg onload='{MARK}'>",
    f"javascript:{MARK}",
    f"[click](javascript:{MARK})",
    f"<a href=javascript:{MARK} autofocus onfocus={MARK}>click</a>",
    f"--><style onload={MARK}></style>",
    "{{ 7 * 7 }} ${name} $name &lt;b&gt;",
)
ALL = " ".join(NAMES)


def make_verdict() -> Verdict:
    """Return a failed verdict whose samples, and what was observed, name tenant and meter."""
    frame = readings_profile(negative_rows=3)
    for column in ("tenant_id", "meter_id", "channel"):
        frame[column] = frame[column] + " " + ALL
    found = run_gate(readings.SUITE, frame, run_id="run-1", **DAY)
    assert ALL in found.failed[0]["sample"][0]["meter_id"]
    found.failed[0]["observed"] += f" {ALL}"
    found.failed[0]["remedy"] += f" {ALL}"
    return found
