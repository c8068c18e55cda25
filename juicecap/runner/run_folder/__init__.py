"""The folder of a run: its layout, its lock, its log, and which outputs are its own."""
