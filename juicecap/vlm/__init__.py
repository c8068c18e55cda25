"""From a request to a vision-language model to its outcome; see `core`."""
