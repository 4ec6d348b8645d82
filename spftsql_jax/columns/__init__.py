"""What a column is, from its name and from what it holds.

Names are taken apart in one place and judged in one; everything else asks these two. In reading
order:

    splitting      a name -> its words: snake_case, camelCase, glued words, digits, any alphabet
    kinds          words -> what they make a column: identifier, key, name, code, date, amount
    whole_dates    days and moments that a column keeps as whole numbers or digits
    roles          the column in a query: key, reference, name, category, measure, flag

The same for people, in English (of it `roles` loads the vocabulary alone):

    vocabulary     the words and phrases of `lists/` under their names
    inflection     singular and plural
    words          the words of a name as English reads them, abbreviations spelled out
    spelling       the words of the names of one schema, misspelt ones put right
    deeds          names that are verbs, by the nouns of what is done
    table_words    a table's name as people would say it of a row
    attributes     the kinds of attribute a column is: a price, a year, a count, an event
    column_words   a column's name as people would say it
    synonyms       what else people say for a noun
    implied        what people say where they mean a column and do not name it

`word_lists` reads the lists. They are text files, an entry a line, and say what each list is for:
`kinds.txt` (what words make a column), `lexicon.txt` (words and abbreviations), `grammar.txt`,
`columns.txt` and `tables.txt`. General English only: nothing is taken from one database.

Keys that nothing declares are found by `databases/key_inference.py`, which asks here for the words.
"""
