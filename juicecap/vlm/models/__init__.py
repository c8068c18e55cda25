"""What a model's files say, read without a library of models: names, sizes of frames, prompts and their tokens."""
