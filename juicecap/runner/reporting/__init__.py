"""The progress of a run, for people, programs and monitors."""
