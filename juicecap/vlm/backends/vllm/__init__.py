"""The backend that runs vLLM's asynchronous engine. The only room that imports vllm.

    backend     the protocol: open, identity, capabilities, generate, close
    plan        what is loaded: engine arguments, and which devices each engine gets
    fleet       which engine answers which request, and what happens when one dies
    engine      one engine: a request through it, and word of its death
    inputs      a request in vLLM's words, and its answer back
    process     how an engine's process is started, and where its output goes (child)

vLLM reads how to log from the environment when it is imported. Unless the user has said something, it logs nothing here, and
in its own processes errors only, to a file from which a failure takes its words.
"""

import logging
import os

QUIET = os.environ.setdefault("VLLM_LOGGING_LEVEL", "CRITICAL") == "CRITICAL" and "VLLM_LOGGING_CONFIG_PATH" not in os.environ
"""Whether the user leaves it to us what vLLM logs."""

if QUIET:
    logging.getLogger("vllm").addHandler(logging.NullHandler())  # for what it says before it has read that
