"""From two SQL strings to a verdict.

A pair of a gold query and a prediction walks through these files, in this order:

1. `scoring.score_predictions` is where it enters, beside all the others.
2. `executed` tells which texts are run: the statement that is read out of either text, as Spider's
   script would change it; and one text for all that differ in white space and case alone.
3. `pool` hands the pairs to worker processes, many of a database at a time.
4. `in_worker` judges them there. What does not fit there, and what no worker can judge, is judged
   by its rows in this process (`brought_back`).
5. `judge` is the order of steps in both places: run both statements on the first instance, compare,
   go on to the next instance while they agree. `programs` spares the run of a statement that is the
   other one in another spelling.
6. `comparison.results_agree` alone says whether two results are the same.
7. `verdicts` says what that means: right or wrong, why, and where an official script would say
   something else (`divergences`).
8. `metrics` sums verdicts up: intervals, tests, efficiency scores, hardness (`components`).

Beside that walk stands Spider's exact match, which runs nothing: `spider_grammar` reads a query,
`exact_match` compares two by their components.
"""
