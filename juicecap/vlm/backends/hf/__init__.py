"""The backend that runs Hugging Face transformers in this process. The only room that imports torch and transformers.

backend         the model described, and the engine that answers
load            the model
groups          which requests of a batch go through it in one call
inputs          a request as tensors, and several as one batch
generate        one call for a group and all of its candidates; sampler draws their tokens
health          whether a model that failed still answers
processor       a model's processor, and prompt by its chat template: vLLM's backend reads requests by these as well
"""
