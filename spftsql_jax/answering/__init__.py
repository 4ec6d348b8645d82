"""A question on a database, to an answer.

`predict` puts questions over the prompt of their database, has them answered, and cuts the SQL out
of what comes. `vote` asks several times and takes the answer whose result most of them give.
`known_words` tells which words of a question a database knows, and whether it asks for a change.
`exported` loads a model's folder with the prompt format it was trained with; `model_folder` finds
it.
"""
