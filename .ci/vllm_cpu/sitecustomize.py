"""Makes torchvision importable beside the CPU build of torch; put this folder on PYTHONPATH.

vLLM's CPU build wants the CPU build of torch, of which torchvision has no counterpart on the package registry: its compiled
operators do not load, and while it is imported it asks for two of them (`operator torchvision::nms does not exist`). The
processors that transformers and vLLM take from it use other parts, in plain Python. So the two operators are declared, without
a body, just before the import.

Python runs `sitecustomize` at the start of each process, so this also holds in the processes that vLLM starts; nothing is
imported before torchvision is.
"""

from __future__ import annotations

import importlib.abc
import sys

OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class BeforeTorchvision(importlib.abc.MetaPathFinder):
    """Finds no module; sees that torchvision is about to be imported."""

    def find_spec(self, name, path, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            if torch.__version__.endswith("+cpu"):
                self.kept = torch.library.Library("torchvision", "DEF")
                for operator in OPERATORS:
                    self.kept.define(operator)
                sys.modules[__name__].kept = self  # the operators go when the library does


sys.meta_path.insert(0, BeforeTorchvision())
