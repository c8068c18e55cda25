"""How a run stands, for people, programs and monitors."""
