"""Videos: their headers, their packets, and the frames on screen at given times."""
