"""From a frame as it is stored to the picture that a player shows: upright, with square pixels, in SDR, on white."""
