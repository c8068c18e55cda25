"""What `webdataset` reads in a folder of shards: pairs of a digest and a caption, as JSON."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import webdataset

shards = [str(path) for path in sorted(Path(sys.argv[1]).glob("*.tar"))]
dataset = webdataset.WebDataset(shards, shardshuffle=False).decode().to_tuple("mp4", "txt", "json")
pairs = []
for video, text, facts in dataset:
    assert facts["captions"][0] == text
    pairs.append((hashlib.sha256(video).hexdigest(), text))
print(json.dumps(pairs))
