"""Run the tests that stand apart from the suite, and store what came out: `make test-slow`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

from icr import runs

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "test-slow.md"


def main() -> int:
    """Run pytest, write the table, and return pytest's status."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-m", "slow", "tests", "--timeout=1800", f"--junit-xml={report}"]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    rows = [f"| `{case.get('name')}` | {_outcome(case)} | {float(case.get('time', 0)):.1f} s |" for case in cases]
    found = runs.surroundings()
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    machine = f"{found['hardware']['cpu']}, {found['hardware']['cores']} cores, {found['hardware']['system']}"
    lines = [
        "# Slow tests: the last results",
        "",
        f"{date.today()}, `make test-slow`. {machine}; {versions}.",
        "",
        "| test | outcome | time |",
        "|---|---|---:|",
        *rows,
    ]
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return status


def _outcome(case: ElementTree.Element) -> str:
    for kind in ("failure", "error", "skipped"):
        if case.find(kind) is not None:
            return kind
    return "passed"


if __name__ == "__main__":
    sys.exit(main())
