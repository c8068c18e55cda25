"""The backend that runs vLLM's asynchronous engine. The only room that imports vllm.

    backend        the protocol: open, identity, capabilities, generate, close
    engine_config  what is loaded: engine arguments, and which devices each engine gets
    engine_pool    which engine answers which request, and what happens when one dies
    engine         one engine: sending it a request, noticing its death
    inputs         a request as vLLM takes it, and its answer as an outcome
    process        how an engine's process is started, and where its output goes
    child_main     what an engine's process runs instead of the program's `__main__`

vLLM reads its logging settings from the environment when it is imported. Unless the user has set them, it logs nothing in this
process, and only errors in its own processes, to a file in which the cause of a failure is looked up.
"""

import logging
import os

QUIET = os.environ.setdefault("VLLM_LOGGING_LEVEL", "CRITICAL") == "CRITICAL" and "VLLM_LOGGING_CONFIG_PATH" not in os.environ
"""Whether the user has left vLLM's logging unset."""

if QUIET:
    logging.getLogger("vllm").addHandler(logging.NullHandler())  # for messages before it has read that
