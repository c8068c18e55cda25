"""Where samples went, read from the folder of a run afterwards: its tables, and the files of lost samples."""
