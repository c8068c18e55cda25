"""From a request to a vision-language model to its outcome.

A request changes its form on its way: a `Request` (base) is `Asked` by a sample (batching), becomes a `Case` that is looked up
and `Keyed` (lookup, keys), is `Wanted` if something of it is missing, `Prepared` with its pixels (base), and an `Outcome` (base).

To be read in this order; the way of a request first:

    base            the words: requests, outcomes, and what a backend is
    core            the loop in a background thread, and the doors to it
    window          the caller's side: requests in, outcomes out, in order
    lane            one window's way to one engine, of these stations:
      batching        which requests go into one call
      lookup          what is known already: digests, keys, journal (a room of its own), claims
      serving         what is not: preparing, the engine, and writing it down
    engines         identified and opened at first need; catalog: hf, vllm, openai (rooms of their own)
    resources       what all of them share: shared, frame_memory, meter, tasks

What else is here serves the backends (models, sampling_params, outcomes, frame_times), or tells from files what a model will make
of a request before any is opened, for `check` and `plan` (model_files, prompt_tokens, budgets).
"""
