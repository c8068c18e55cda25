"""The backend that runs Hugging Face transformers in this process. The only room that imports torch and transformers."""
