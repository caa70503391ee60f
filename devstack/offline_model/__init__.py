"""A small local server with the OpenAI API, for running without a key.

It is a set of rules, and says so. It reads plain English well enough to route a
message, call tools and write an answer from their results, and it does nothing
else: no rule here knows an answer that the device's own data does not hold.

- `words` and `dates` are its vocabulary.
- `language` reads a message: what is wanted, of what kind, by which filters.
- `rules` decides the next step of a turn: tools to call, or an answer.
- `answers` words the answer, as blocks for Home or as plain text for a popup.
- `classify` and `embed` do the two other jobs of a model.
- `completions` and `responses` tell an answer as the two APIs do; `telling` is what they
  share, `reasoning` what goes back and forth sealed, `refusals` what is no request at all.
- `server` speaks HTTP.
"""
