"""How a run shows its progress: a display for people, events for programs."""
