"""Videos and images: what they say about themselves, which frames to take, and their pixels."""
