"""The backend for OpenAI-compatible servers; start with `backend`, which uses all the others."""
