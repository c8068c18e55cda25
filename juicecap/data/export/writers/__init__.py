"""The writers of `exports:`, one file each: `table`, `sidecar`, `conversations`, `webdataset`.

Each has `prepare(export, job)`, which looks at everything, writes nothing but temporary tables, and returns an object with a
method `write`. So what is wrong with an export is known before any of its files appear.
"""
