"""Tasks: CPU work on a medium that an op asks for as it asks a question, one small function in each file."""
