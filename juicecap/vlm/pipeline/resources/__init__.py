"""What the requests of a window share: decoded media, memory for frames, statistics of the engines."""
