"""Question-SQL examples, from a file to the tokens of a batch.

`example` is one question with its SQL, `benchmarks` reads files of them. `prompts` writes them out
over a schema, or a part of it (`subschemas`), `chat` puts that into a conversation, `tokenizer`
makes ids of it, and `batches` puts many over one schema.
"""
