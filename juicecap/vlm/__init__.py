"""From a request to a vision-language model to its outcome.

A request changes its form on its way. It is a `Request` (base), is queued as a `QueuedRequest` (pipeline/batching), is looked
up as a `CacheLookup` by a `KeyedRequest` (pipeline/lookup), is a `CacheMiss` if something of it is missing, is `Prepared` with
its pixels (base), and becomes an `Outcome` (base).

Read the modules in this order:

    base                    the types: requests, outcomes, and what a backend is
    seeds                   the seeds of candidates
    pipeline/
      core                  the loop in a background thread, and the functions that use it
      window                the caller's side: submits requests, returns outcomes, in order
      engine_pipeline       carries one window's requests to one engine, in these stages:
        batching            which requests go into one call
        lookup/             what is known already: digests, keys, journal, questions that are being asked
        dispatcher          what is not: preparing, the engine, and writing it down
      engines               described and opened at first need
      resources/            what all of them share: decoded media, memory for frames, figures
    backends/               the engines: hf, vllm, openai; catalog has their names
    models/                 what a model's files say, read without a library of models; for `check` and `plan` too
    journal/                answers on disk
"""
