"""What is known already: keys of requests, the look into the journal, and questions that others are asking."""
