"""Looks every pinned dependency up for known vulnerabilities: exit code 1 when there are any.

A machine that cannot reach the advisory database says so and passes: being offline is no finding.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PINS = Path(__file__).parents[1] / "constraints.txt"
TIMEOUT_S = 300


def main() -> int:
    """Audit, and print one line per finding."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(PINS), "--no-deps", "--disable-pip"]
    found = subprocess.run(
        [*command, "--format", "json", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    try:
        dependencies = json.loads(found.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        reason = (found.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"not audited: the advisory database does not answer ({reason[:200]})")
        return 0
    audited = [entry for entry in dependencies if "skip_reason" not in entry]
    if not audited:
        print("not audited: the advisory database knows none of the packages; is the package index a mirror?")
        return 0
    findings = [(entry, hole) for entry in audited for hole in entry["vulns"]]
    for entry, hole in findings:
        fixed = ", ".join(hole["fix_versions"]) or "no release yet"
        print(f"{entry['name']} {entry['version']}: {hole['id']}, fixed in {fixed}")
    print(f"{len(audited)} packages audited, {len(dependencies) - len(audited)} skipped, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
