"""Films that no video decoder reads: animated pictures, and rows of single pictures."""
