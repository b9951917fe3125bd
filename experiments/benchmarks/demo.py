"""What `make demo` does once its environment stands: how long it takes, and the front it measures."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import ROOT, Claim, arguments, write_results

NAS = [sys.executable, "-c", "from nas.cli import main; main()"]


def main() -> None:
    options = arguments(__file__, __doc__ or "")
    config = ROOT / "experiments" / "configs" / ("digits_fake.yaml" if options.quick else "digits.yaml")
    with tempfile.TemporaryDirectory() as temporary:
        run_dir = Path(temporary) / "digits"
        began = time.monotonic()
        subprocess.run([*NAS, "run", str(config), "--run-dir", str(run_dir)], check=True)
        minutes = (time.monotonic() - began) / 60
        front = json.loads((run_dir / "confirm" / "front.json").read_text())
    rows = [
        {
            "key": member["key"],
            **{
                m["target"]: {"median_ms": 1e3 * m["median_s"], "p90_ms": 1e3 * m["p90_s"], "source": m["source"]}
                for m in member["measurements"]
            },
            "file_accuracy": {name: file["accuracy"] for name, file in member["files"].items()},
        }
        for member in front["members"]
    ]
    for row in rows:
        print(row)
    measured = sum(all(m["source"] == "measured" for m in member["measurements"]) for member in front["members"])
    claims = [
        Claim("nas run on the digits, set-up aside", minutes, "minutes", 10, "lower"),
        Claim("networks on the front measured on every target", measured, "networks", 5, "higher"),
    ]
    write_results(options, rows, claims)


if __name__ == "__main__":
    main()
