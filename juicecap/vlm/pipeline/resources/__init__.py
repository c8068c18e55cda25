"""What the requests of a window share: decoded media, memory for frames, the figures of the engines."""
