"""The example of docs/own-loop.md runs as it stands, needs PyTorch alone, and learns."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "own-loop.md"

CHECK = """
import sys
import torch
torch.set_num_threads(1)
torch.manual_seed(0)
code = open(sys.argv[1]).read()
space = {}
exec(code, space)
import icr
pictures, boxes, labels = space["scenes"](64)
with torch.no_grad():
    centre, size = (32 * space["network"](pictures).view(-1, 2, 4)).split(2, -1)
pred = torch.cat([centre - size / 2, centre + size / 2], -1)
iou = 1 - icr.box_loss(pred, boxes, base="iou")
inside = icr.containment(pred[:, 0], boxes[:, 1])
heavy = {"ultralytics", "numpy", "cv2", "matplotlib", "PIL", "yaml", "scipy"} & set(sys.modules)
print(*iou.mean(0).tolist(), float(inside.mean()), ",".join(sorted(heavy - {"numpy"})) or "nothing")
"""


def test_the_example_runs_and_learns(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    lines = [line for line in code[1].splitlines() if line.strip()]
    assert len(lines) <= 30, f"the page promises 30 lines and shows {len(lines)}"
    example = tmp_path / "example.py"
    example.write_text(code[1])
    done = subprocess.run([sys.executable, "-c", CHECK, str(example)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    plate, vehicle, inside, heavy = done.stdout.split()
    assert float(plate) > 0.3 and float(vehicle) > 0.6 and float(inside) > 0.9, done.stdout
    assert heavy == "nothing"
