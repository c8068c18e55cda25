"""Trainers, and the options of a writer with which their own loaders read what is exported. A preset is nothing else.

What a trainer wants was read from its loader; `docs/exports.md` names the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A trainer: which writer, with which options, and what to tell about it."""

    kind: str
    """The writer."""
    file: str = ""
    """What the export writes in the folder that `to` names; empty: the folder itself."""
    options: Mapping[str, Any]
    wants: str
    """What the trainer reads, and what to put into its settings."""
    one_caption: bool = False
    """Whether of several captions of a medium all but one are lost, here or in the trainer."""
    media: str = "videos, images"
    """What it takes."""


_MEDIUM, _CAPTION = {"media": True}, {"caption": True}
_TEXTS: Mapping[str, Any] = {"media": "link"}
_ABSOLUTE: Mapping[str, Any] = {"paths": "absolute", "parts": "cut", "media_folder": "parts"}

PRESETS: Mapping[str, Preset] = {
    "ai_toolkit": Preset(
        kind="sidecar",
        options=_TEXTS,
        wants="folder_path: the folder; caption_ext: txt",
        one_caption=True,
    ),
    "axolotl": Preset(
        kind="conversations",
        file="train.jsonl",
        options={**_ABSOLUTE, "style": "parts"},
        wants="datasets: [{path: the file, ds_type: json, type: chat_template}]",
    ),
    "cogvideo": Preset(
        kind="table",
        options={**_ABSOLUTE, "format": "lines", "columns": {"prompts": _CAPTION, "videos": {"media": "video"}}},
        wants="--data_root: the folder; --caption_column prompts.txt; --video_column videos.txt",
        media="videos",
    ),
    "diffsynth": Preset(
        kind="table",
        file="metadata.jsonl",
        options={**_ABSOLUTE, "columns": {"video": {"media": "video"}, "image": {"media": "image"}, "prompt": _CAPTION}},
        wants="--dataset_metadata_path: the file; --dataset_base_path: any folder, since paths are absolute",
    ),
    "diffusion_pipe": Preset(
        kind="sidecar",
        options=_TEXTS,
        wants="[[directory]] path: the folder",
        one_caption=True,
    ),
    "fastvideo": Preset(
        kind="table",
        file="videos2caption.json",
        options={
            "captions": "list",
            "columns": {
                "path": {"media": "name"},
                "cap": _CAPTION,
                "resolution": {"measure": "size"},
                "fps": {"measure": "fps"},
                "num_frames": {"measure": "frames"},
                "duration": {"measure": "duration"},
            },
            "media": "link",
            "media_folder": "videos",
        },
        wants="the folder, with videos/ and videos2caption.json, as the dataset path of the preprocessing",
        media="videos",
    ),
    "finetrainers": Preset(
        kind="sidecar",
        options=_TEXTS,
        wants="dataset_config: data_root the folder, dataset_type video or image; one flat folder, of pairs",
        one_caption=True,
    ),
    "imagefolder": Preset(
        kind="table",
        file="metadata.jsonl",
        options={"columns": {"file_name": {"media": "image"}, "caption": _CAPTION}, "media": "link"},
        wants='load_dataset("imagefolder", data_dir=the folder)',
        media="images",
    ),
    "kohya": Preset(
        kind="sidecar",
        options={**_TEXTS, "suffix": ".caption"},
        wants="image_dir: the folder; caption_extension: .caption, which is its default",
        one_caption=True,
        media="images",
    ),
    "llama_factory": Preset(
        kind="conversations",
        file="train.json",
        options={**_ABSOLUTE, "style": "messages", "dataset_info": "juicecap"},
        wants="dataset_dir: the folder, dataset: juicecap; dataset_info.json is written beside",
    ),
    "llava_next": Preset(
        kind="conversations",
        file="train.json",
        options={**_ABSOLUTE, "style": "llava", "token": "<image>", "media_as": "text"},
        wants="--data_path: the file; --video_folder and --image_folder: any (paths are absolute); <image> stands for a video",
    ),
    "ltx": Preset(
        kind="table",
        file="dataset.json",
        options={
            "captions": "first",
            "columns": {"caption": _CAPTION, "media_path": _MEDIUM, "video": _MEDIUM},
            "media": "link",
            "media_folder": "media",
        },
        wants="process_dataset.py the file, with --caption-column caption and --video-column media_path or video",
        one_caption=True,
    ),
    "ms_swift": Preset(
        kind="conversations",
        file="train.jsonl",
        options={**_ABSOLUTE, "style": "messages"},
        wants="--dataset: the file",
    ),
    "musubi": Preset(
        kind="table",
        file="metadata.jsonl",
        options={
            **_ABSOLUTE,
            "captions": "first",
            "columns": {"video_path": {"media": "video"}, "image_path": {"media": "image"}, "caption": _CAPTION},
        },
        wants="video_jsonl_file or image_jsonl_file: the file; cache_directory: one of its own",
        one_caption=True,
    ),
    "onetrainer": Preset(
        kind="sidecar",
        options={**_TEXTS, "captions": "lines"},
        wants="a concept with path: the folder, and prompt source: from text file per sample",
    ),
    "opensora": Preset(
        kind="table",
        file="meta.parquet",
        options={
            **_ABSOLUTE,
            "columns": {
                "path": _MEDIUM,
                "text": _CAPTION,
                "num_frames": {"measure": "frames"},
                "height": {"measure": "height"},
                "width": {"measure": "width"},
                "aspect_ratio": {"measure": "height_over_width"},
                "resolution": {"measure": "pixels"},
                "fps": {"measure": "fps"},
            },
        },
        wants="dataset data_path: the file; Parquet, since in a CSV a caption NA would be read as missing",
    ),
    "qwen_vl": Preset(
        kind="conversations",
        file="train.json",
        options={**_ABSOLUTE, "style": "llava"},
        wants='data_dict: {"annotation_path": the file, "data_path": "/"}, since paths are absolute',
    ),
    "simpletuner": Preset(
        kind="sidecar",
        options={**_TEXTS, "captions": "lines"},
        wants="instance_data_dir: the folder; caption_strategy: textfile; each line is a caption",
    ),
    "videofolder": Preset(
        kind="table",
        file="metadata.jsonl",
        options={"columns": {"file_name": {"media": "video"}, "caption": _CAPTION}, "media": "link"},
        wants='load_dataset("videofolder", data_dir=the folder)',
        media="videos",
    ),
    "videollama3": Preset(
        kind="conversations",
        file="train.jsonl",
        options={**_ABSOLUTE, "style": "llava", "media_as": "list"},
        wants="--data_path: the file; --data_folder: any, since paths are absolute; video is a list of one",
    ),
    "videotuna": Preset(
        kind="table",
        file="metadata.csv",
        options={**_ABSOLUTE, "columns": {"path": _MEDIUM, "caption": _CAPTION}},
        wants="csv_path: the file; data_root: any, since paths are absolute",
        media="videos",
    ),
    "videox_fun": Preset(
        kind="table",
        file="metadata.json",
        options={**_ABSOLUTE, "columns": {"file_path": _MEDIUM, "text": _CAPTION, "type": {"media": "kind"}}},
        wants="--train_data_meta: the file; --train_data_dir: empty, since paths are absolute",
    ),
}
"""By the names that `for` takes, in alphabetical order."""
