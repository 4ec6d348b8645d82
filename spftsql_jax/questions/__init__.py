"""English for queries: the layers that `questions/sentences.py` words a query with.

From below: `vocabulary` and `wordings` are tables, `inflection` and `identifiers` are about words
alone, `attributes` and `column_words` about columns, `naming` names a schema, `query_meaning` and
`syntax` read SQL, `parts` are the pieces of sentences. Each class then words a larger part with the
one before it: Phrases, Comparisons, Expressions, Links, Events, Relations, Entities, Nested,
Conditions, Superlatives, Aggregates, Listings, Groups, GroupQuestions, Combinations,
QuestionWriter.
"""
