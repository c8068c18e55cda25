"""DataFlow's settings of its storage, each answered by name: what corresponds to it in a recipe."""

from __future__ import annotations

ANSWERS = {
    "cache_path": "work_dir is the run folder, whose steps/ holds what each op left",
    "cache_type": (
        "keep_steps is the format of readable tables of what each op left; export_path has that of the result as its suffix"
    ),
    "file_name_prefix": "keep_steps writes a readable table of what each op left; step files are named by number and op",
    "first_entry_file_name": "dataset_path is the file that is read",
}
