"""Run by `make test-core` after a plain `pip install .`: PyTorch came, nothing else heavy, and the loss works."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import distributions

HEAVY = {"ultralytics", "transformers", "matplotlib", "opencv-python", "torchvision", "numpy", "scipy", "supervision"}
FORBIDDEN_MODULES = {"ultralytics", "transformers", "matplotlib", "cv2", "numpy"}

installed = {d.metadata["Name"].lower() for d in distributions()}
assert not installed & HEAVY, f"pip install . brought {installed & HEAVY}"

start = time.perf_counter()
import torch  # noqa: E402

torch_seconds = time.perf_counter() - start
import icr  # noqa: E402

pred = torch.tensor([[10.0, 10.0, 20.0, 20.0]], requires_grad=True)
target = torch.tensor([[12.0, 10.0, 22.0, 20.0]])
vehicle = torch.tensor([[15.0, 0.0, 60.0, 40.0]])
loss = icr.icr_loss(pred, target, vehicle, reduction="sum")
loss.backward()
assert torch.isfinite(loss) and pred.grad is not None and torch.isfinite(pred.grad).all()
assert loss > icr.box_loss(pred, target, reduction="sum")
assert icr.containment(pred, vehicle).item() == 0.5
relations = icr.relations.resolve([icr.Relation("plate", "vehicle")], ["plate", "vehicle"])
assert icr.match_parents(torch.cat([pred.detach(), vehicle]), torch.tensor([0, 1]), relations).tolist() == [1, -1]
assert not FORBIDDEN_MODULES & set(sys.modules), FORBIDDEN_MODULES & set(sys.modules)

command = subprocess.run([sys.executable, "-c", "from icr.cli.app import main; main()"], capture_output=True, text=True)
assert command.returncode == 2 and "pip install 'icr-loss[cli]'" in command.stderr, command.stderr

print(
    f"core install: {len(installed)} packages, torch loads in {torch_seconds:.1f} s, ICR loss {loss.item():.4f}: works"
)
