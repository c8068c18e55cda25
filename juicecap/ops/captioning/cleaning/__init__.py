"""What in an answer is not about the picture, and the answer without it. Functions of texts; they know no op."""
