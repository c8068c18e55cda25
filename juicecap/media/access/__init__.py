"""The doors to media: local files, addresses, and the folder for what was fetched."""
