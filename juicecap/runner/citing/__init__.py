"""What is to be said of a run's captions: noted while it runs, read afterwards."""
