"""Looking ahead: what a run will take, and a run of a few samples."""
