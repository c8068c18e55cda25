"""What ms-swift loads of a file of messages: pairs of a digest and the answer, as JSON."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from swift.dataset import load_dataset

dataset, _ = load_dataset(str(Path(sys.argv[1]) / "train.jsonl"), shuffle=False, strict=True, load_from_cache_file=False)
pairs = []
for row in dataset:
    asked, answer = row["messages"]
    (video,) = row["videos"]
    path = video["path"] if isinstance(video, dict) else video
    assert asked["content"].count("<video>") == 1
    pairs.append((hashlib.sha256(Path(path).read_bytes()).hexdigest(), answer["content"]))
print(json.dumps(pairs))
