"""A pool of query templates of our own, for databases that come without any SQL to take templates
from.

One template a line: its weight (how often people ask such a thing, relative to the others), then
its text in the notation that `templates.py` defines. In short: SQL without FROM and JOIN; `a`, `b`,
`c` stand for tables, `a_outer` for the table `a` of the enclosing query; `a.num1` is a column slot
(its kind, then a number unique in the template); `:num1` is a value of the column in slot 1
(`:num1_2` another one); `:count`, `:limit` are small whole numbers; `COUNT(b.*)` counts rows of
`b`; `LINKED(b)` says that a row of `b` must belong to it; `b.ref2_key1` is a foreign key that
refers to slot 1.

The kinds of a column slot: `name` (text that names a row), `text` (any text), `cat` (few distinct
values), `num` (a measured number), `date`, `bool`, `any` (anything but a key), `key` (the primary
key), `ref` (a foreign key).
"""

from __future__ import annotations

import functools

from spftsql_jax.synthesis import templates as templates_lib

_PROJECTIONS = """
14 SELECT a.name1
5 SELECT a.text1
4 SELECT DISTINCT a.cat1
3 SELECT DISTINCT a.text1
8 SELECT a.name1, a.any2
6 SELECT a.name1, a.num2
4 SELECT a.name1, a.date2
4 SELECT a.name1, a.cat2
3 SELECT a.any1, a.any2
4 SELECT a.name1, a.any2, a.any3
2 SELECT a.any1, a.any2, a.any3
2 SELECT a.key1, a.name2
1 SELECT DISTINCT a.cat1, a.cat2
"""

_FILTERS = """
14 SELECT a.name1 WHERE a.cat2 = :cat2
10 SELECT a.any1 WHERE a.name2 = :name2
6 SELECT a.any1, a.any2 WHERE a.name3 = :name3
3 SELECT a.any1, a.any2, a.any3 WHERE a.name4 = :name4
8 SELECT a.name1 WHERE a.num2 > :num2
6 SELECT a.name1 WHERE a.num2 < :num2
4 SELECT a.name1 WHERE a.num2 >= :num2
2 SELECT a.name1 WHERE a.num2 <= :num2
2 SELECT a.name1 WHERE a.num2 = :num2
6 SELECT a.name1, a.num2 WHERE a.num2 > :num2
4 SELECT a.name1, a.num2 WHERE a.num2 < :num2
6 SELECT a.name1, a.any2 WHERE a.cat3 = :cat3
6 SELECT a.name1, a.any2 WHERE a.num3 > :num3
4 SELECT a.name1, a.any2 WHERE a.num3 < :num3
4 SELECT a.name1, a.any2, a.any3 WHERE a.cat4 = :cat4
3 SELECT a.name1 WHERE a.cat2 != :cat2
2 SELECT a.name1, a.any2 WHERE a.cat3 != :cat3
4 SELECT a.name1 WHERE a.num2 BETWEEN :num2 AND :num2_2
2 SELECT a.name1, a.any2 WHERE a.num3 BETWEEN :num3 AND :num3_2
4 SELECT a.name1 WHERE a.text2 LIKE :text2
3 SELECT a.name1 WHERE a.name1 LIKE :name1
2 SELECT a.name1, a.any2 WHERE a.text3 LIKE :text3
1 SELECT a.name1 WHERE a.text2 NOT LIKE :text2
4 SELECT a.name1 WHERE a.cat2 IN (:cat2, :cat2_2)
2 SELECT a.name1, a.any2 WHERE a.cat3 IN (:cat3, :cat3_2)
1 SELECT a.name1 WHERE a.cat2 IN (:cat2, :cat2_2, :cat2_3)
1 SELECT a.name1 WHERE a.cat2 NOT IN (:cat2, :cat2_2)
4 SELECT a.name1 WHERE a.any2 IS NULL
3 SELECT a.name1 WHERE a.any2 IS NOT NULL
1 SELECT a.name1, a.any2 WHERE a.any3 IS NULL
2 SELECT DISTINCT a.cat1 WHERE a.num2 > :num2
2 SELECT DISTINCT a.cat1 WHERE a.num2 < :num2
2 SELECT DISTINCT a.cat1 WHERE a.cat2 = :cat2
2 SELECT a.name1 WHERE a.bool2 = :bool2
1 SELECT a.name1, a.any2 WHERE a.bool3 = :bool3
1 SELECT a.key1 WHERE a.name2 = :name2
1 SELECT a.name1 WHERE a.key2 = :key2
"""

_TWO_CONDITIONS = """
7 SELECT a.name1 WHERE a.cat2 = :cat2 AND a.num3 > :num3
5 SELECT a.name1 WHERE a.cat2 = :cat2 AND a.num3 < :num3
5 SELECT a.name1 WHERE a.cat2 = :cat2 AND a.cat3 = :cat3
5 SELECT a.name1 WHERE a.cat2 = :cat2 OR a.cat2 = :cat2_2
3 SELECT a.name1 WHERE a.cat2 = :cat2 OR a.cat3 = :cat3
3 SELECT a.name1 WHERE a.cat2 = :cat2 OR a.num3 > :num3
3 SELECT a.name1 WHERE a.num2 > :num2 AND a.num3 < :num3
2 SELECT a.name1 WHERE a.num2 > :num2 OR a.num3 > :num3
2 SELECT a.name1 WHERE a.num2 > :num2 AND a.num2 < :num2_2
2 SELECT a.name1 WHERE a.num2 < :num2 OR a.num2 > :num2_2
4 SELECT a.name1, a.any2 WHERE a.cat3 = :cat3 AND a.num4 > :num4
2 SELECT a.name1, a.any2 WHERE a.cat3 = :cat3 AND a.cat4 = :cat4
2 SELECT a.name1, a.any2 WHERE a.cat3 = :cat3 OR a.cat3 = :cat3_2
2 SELECT a.name1 WHERE a.cat2 = :cat2 AND a.date3 > :date3
2 SELECT a.name1 WHERE a.cat2 = :cat2 AND a.any3 IS NOT NULL
2 SELECT a.name1 WHERE a.cat2 = :cat2 AND a.any3 IS NULL
1 SELECT a.name1 WHERE a.cat2 = :cat2 AND (a.num3 > :num3 OR a.cat4 = :cat4)
1 SELECT a.name1 WHERE a.cat2 != :cat2 AND a.num3 > :num3
1 SELECT a.name1 WHERE a.cat2 = :cat2 AND a.cat3 = :cat3 AND a.num4 > :num4
"""

_AGGREGATES = """
14 SELECT COUNT(a.*)
10 SELECT COUNT(a.*) WHERE a.cat1 = :cat1
7 SELECT COUNT(a.*) WHERE a.num1 > :num1
5 SELECT COUNT(a.*) WHERE a.num1 < :num1
2 SELECT COUNT(a.*) WHERE a.num1 >= :num1
2 SELECT COUNT(a.*) WHERE a.num1 BETWEEN :num1 AND :num1_2
4 SELECT COUNT(a.*) WHERE a.cat1 = :cat1 AND a.num2 > :num2
3 SELECT COUNT(a.*) WHERE a.cat1 = :cat1 AND a.cat2 = :cat2
3 SELECT COUNT(a.*) WHERE a.cat1 = :cat1 OR a.cat1 = :cat1_2
2 SELECT COUNT(a.*) WHERE a.text1 LIKE :text1
3 SELECT COUNT(a.*) WHERE a.any1 IS NULL
1 SELECT COUNT(a.*) WHERE a.any1 IS NOT NULL
1 SELECT COUNT(a.*) WHERE a.bool1 = :bool1
8 SELECT COUNT(DISTINCT a.cat1)
2 SELECT COUNT(DISTINCT a.text1)
3 SELECT COUNT(DISTINCT a.cat1) WHERE a.num2 > :num2
2 SELECT COUNT(DISTINCT a.cat1) WHERE a.cat2 = :cat2
8 SELECT AVG(a.num1)
6 SELECT MAX(a.num1)
5 SELECT MIN(a.num1)
5 SELECT SUM(a.num1)
6 SELECT AVG(a.num1) WHERE a.cat2 = :cat2
5 SELECT SUM(a.num1) WHERE a.cat2 = :cat2
4 SELECT MAX(a.num1) WHERE a.cat2 = :cat2
3 SELECT MIN(a.num1) WHERE a.cat2 = :cat2
2 SELECT AVG(a.num1) WHERE a.num2 > :num2
2 SELECT MIN(a.date1)
2 SELECT MAX(a.date1)
1 SELECT MAX(a.date1) WHERE a.cat2 = :cat2
4 SELECT MAX(a.num1), MIN(a.num1)
3 SELECT MIN(a.num1), MAX(a.num1), AVG(a.num1)
2 SELECT AVG(a.num1), MAX(a.num1)
2 SELECT AVG(a.num1), AVG(a.num2)
2 SELECT MIN(a.num1), MAX(a.num1) WHERE a.cat2 = :cat2
2 SELECT COUNT(a.*), AVG(a.num1)
1 SELECT COUNT(a.*), SUM(a.num1) WHERE a.cat2 = :cat2
"""

_GROUPS = """
14 SELECT a.cat1, COUNT(a.*) GROUP BY a.cat1
8 SELECT a.cat1, AVG(a.num2) GROUP BY a.cat1
5 SELECT a.cat1, SUM(a.num2) GROUP BY a.cat1
5 SELECT a.cat1, MAX(a.num2) GROUP BY a.cat1
4 SELECT a.cat1, MIN(a.num2) GROUP BY a.cat1
2 SELECT a.cat1, COUNT(a.*), AVG(a.num2) GROUP BY a.cat1
2 SELECT a.cat1, MIN(a.num2), MAX(a.num2) GROUP BY a.cat1
2 SELECT a.cat1, COUNT(DISTINCT a.cat2) GROUP BY a.cat1
2 SELECT a.cat1, a.cat2, COUNT(a.*) GROUP BY a.cat1, a.cat2
3 SELECT a.cat1, COUNT(a.*) WHERE a.num2 > :num2 GROUP BY a.cat1
3 SELECT a.cat1, COUNT(a.*) WHERE a.cat2 = :cat2 GROUP BY a.cat1
2 SELECT a.cat1, AVG(a.num2) WHERE a.cat3 = :cat3 GROUP BY a.cat1
3 SELECT a.cat1, COUNT(a.*) GROUP BY a.cat1 ORDER BY COUNT(a.*) DESC
2 SELECT a.cat1, AVG(a.num2) GROUP BY a.cat1 ORDER BY AVG(a.num2) DESC
2 SELECT a.cat1, SUM(a.num2) GROUP BY a.cat1 ORDER BY SUM(a.num2) DESC
1 SELECT a.cat1, COUNT(a.*) GROUP BY a.cat1 ORDER BY a.cat1
9 SELECT a.cat1 GROUP BY a.cat1 HAVING COUNT(a.*) > :count
5 SELECT a.cat1 GROUP BY a.cat1 HAVING COUNT(a.*) >= :count
1 SELECT a.cat1 GROUP BY a.cat1 HAVING COUNT(a.*) < :count
4 SELECT a.cat1, COUNT(a.*) GROUP BY a.cat1 HAVING COUNT(a.*) > :count
2 SELECT a.cat1 GROUP BY a.cat1 HAVING AVG(a.num2) > :num2
1 SELECT a.cat1 GROUP BY a.cat1 HAVING SUM(a.num2) > :num2
1 SELECT a.cat1, AVG(a.num2) GROUP BY a.cat1 HAVING AVG(a.num2) < :num2
1 SELECT a.cat1, AVG(a.num2) GROUP BY a.cat1 HAVING COUNT(a.*) >= :count
1 SELECT a.cat1 WHERE a.num2 > :num2 GROUP BY a.cat1 HAVING COUNT(a.*) > :count
9 SELECT a.cat1 GROUP BY a.cat1 ORDER BY COUNT(a.*) DESC LIMIT 1
3 SELECT a.cat1 GROUP BY a.cat1 ORDER BY COUNT(a.*) LIMIT 1
4 SELECT a.cat1, COUNT(a.*) GROUP BY a.cat1 ORDER BY COUNT(a.*) DESC LIMIT 1
2 SELECT a.cat1 GROUP BY a.cat1 ORDER BY COUNT(a.*) DESC LIMIT :limit
2 SELECT a.cat1 GROUP BY a.cat1 ORDER BY AVG(a.num2) DESC LIMIT 1
1 SELECT a.cat1 GROUP BY a.cat1 ORDER BY AVG(a.num2) LIMIT 1
2 SELECT a.cat1, SUM(a.num2) GROUP BY a.cat1 ORDER BY SUM(a.num2) DESC LIMIT 1
"""

_ORDER = """
6 SELECT a.name1 ORDER BY a.name1
5 SELECT a.name1 ORDER BY a.num2
6 SELECT a.name1 ORDER BY a.num2 DESC
3 SELECT a.name1 ORDER BY a.date2
2 SELECT a.name1 ORDER BY a.date2 DESC
4 SELECT a.name1, a.num2 ORDER BY a.num2 DESC
3 SELECT a.name1, a.num2 ORDER BY a.num2
3 SELECT a.name1, a.any2 ORDER BY a.name1
2 SELECT a.name1, a.any2 ORDER BY a.num3 DESC
1 SELECT a.name1, a.any2, a.any3 ORDER BY a.num4 DESC
3 SELECT a.name1 WHERE a.cat2 = :cat2 ORDER BY a.num3 DESC
2 SELECT a.name1 WHERE a.cat2 = :cat2 ORDER BY a.name1
2 SELECT a.name1 WHERE a.num2 > :num2 ORDER BY a.num2
1 SELECT a.cat1, a.name2 ORDER BY a.cat1, a.name2
10 SELECT a.name1 ORDER BY a.num2 DESC LIMIT 1
7 SELECT a.name1 ORDER BY a.num2 LIMIT 1
4 SELECT a.name1 ORDER BY a.date2 DESC LIMIT 1
4 SELECT a.name1 ORDER BY a.date2 LIMIT 1
5 SELECT a.name1 ORDER BY a.num2 DESC LIMIT :limit
2 SELECT a.name1 ORDER BY a.num2 LIMIT :limit
1 SELECT a.name1 ORDER BY a.date2 DESC LIMIT :limit
5 SELECT a.name1, a.any2 ORDER BY a.num3 DESC LIMIT 1
3 SELECT a.name1, a.any2 ORDER BY a.num3 LIMIT 1
3 SELECT a.name1, a.num2 ORDER BY a.num2 DESC LIMIT 1
2 SELECT a.name1, a.num2 ORDER BY a.num2 DESC LIMIT :limit
2 SELECT a.any1 ORDER BY a.num2 DESC LIMIT 1
4 SELECT a.name1 WHERE a.cat2 = :cat2 ORDER BY a.num3 DESC LIMIT 1
2 SELECT a.name1 WHERE a.cat2 = :cat2 ORDER BY a.num3 LIMIT 1
1 SELECT a.name1 WHERE a.cat2 = :cat2 ORDER BY a.num3 DESC LIMIT :limit
"""

_DATES = """
4 SELECT a.name1 WHERE a.date2 > :date2
4 SELECT a.name1 WHERE a.date2 < :date2
3 SELECT a.name1 WHERE a.date2 BETWEEN :date2 AND :date2_2
4 SELECT a.name1 WHERE strftime('%Y', a.date2) = :date2
2 SELECT a.name1, a.date2 WHERE a.date2 >= :date2
1 SELECT a.name1 WHERE a.date2 = :date2
3 SELECT COUNT(a.*) WHERE strftime('%Y', a.date1) = :date1
3 SELECT COUNT(a.*) WHERE a.date1 > :date1
2 SELECT COUNT(a.*) WHERE a.date1 < :date1
2 SELECT COUNT(a.*) WHERE a.date1 BETWEEN :date1 AND :date1_2
1 SELECT COUNT(a.*) WHERE a.cat1 = :cat1 AND strftime('%Y', a.date2) = :date2
2 SELECT SUM(a.num1) WHERE strftime('%Y', a.date2) = :date2
1 SELECT AVG(a.num1) WHERE a.date2 > :date2
3 SELECT strftime('%Y', a.date1), COUNT(a.*) GROUP BY strftime('%Y', a.date1)
1 SELECT strftime('%m', a.date1), COUNT(a.*) GROUP BY strftime('%m', a.date1)
1 SELECT strftime('%Y', a.date1), SUM(a.num2) GROUP BY strftime('%Y', a.date1)
1 SELECT strftime('%Y', a.date1) GROUP BY strftime('%Y', a.date1) ORDER BY COUNT(a.*) DESC LIMIT 1
1 SELECT COUNT(a.*) WHERE strftime('%m', a.date1) = :date1
"""

_JOINS = """
8 SELECT a.name1, b.name2
5 SELECT a.name1, b.any2
2 SELECT a.name1, a.any2, b.name3
2 SELECT a.name1, b.name2, c.name3
10 SELECT a.name1 WHERE b.name2 = :name2
8 SELECT a.name1 WHERE b.cat2 = :cat2
3 SELECT DISTINCT a.name1 WHERE b.cat2 = :cat2
4 SELECT a.any1 WHERE b.name2 = :name2
4 SELECT a.name1, a.any2 WHERE b.name3 = :name3
3 SELECT a.name1, b.name2 WHERE a.cat3 = :cat3
3 SELECT a.name1, b.any2 WHERE a.num3 > :num3
2 SELECT a.name1, b.name2 WHERE b.cat3 = :cat3
4 SELECT a.name1 WHERE b.num2 > :num2
3 SELECT a.name1 WHERE b.num2 < :num2
2 SELECT DISTINCT a.name1 WHERE b.num2 > :num2
3 SELECT a.name1 WHERE b.cat2 = :cat2 AND a.num3 > :num3
3 SELECT a.name1 WHERE b.name2 = :name2 AND a.cat3 = :cat3
2 SELECT a.name1 WHERE b.name2 = :name2 OR b.name2 = :name2_2
2 SELECT a.name1 WHERE b.cat2 = :cat2 OR b.cat2 = :cat2_2
2 SELECT a.name1 WHERE b.name2 = :name2 AND c.cat3 = :cat3
1 SELECT a.name1 WHERE b.name2 = :name2 AND c.name3 = :name3
2 SELECT a.name1 WHERE strftime('%Y', b.date2) = :date2
2 SELECT a.name1 WHERE b.date2 > :date2
1 SELECT a.name1 WHERE b.text2 LIKE :text2
4 SELECT DISTINCT a.name1 WHERE LINKED(b)
1 SELECT DISTINCT a.cat1 WHERE LINKED(b)
7 SELECT COUNT(a.*) WHERE b.name1 = :name1
5 SELECT COUNT(a.*) WHERE b.cat1 = :cat1
2 SELECT COUNT(a.*) WHERE b.name1 = :name1 AND a.cat2 = :cat2
2 SELECT COUNT(DISTINCT a.key1) WHERE b.cat2 = :cat2
1 SELECT COUNT(DISTINCT a.cat1) WHERE b.name2 = :name2
4 SELECT AVG(a.num1) WHERE b.name2 = :name2
3 SELECT AVG(a.num1) WHERE b.cat2 = :cat2
3 SELECT SUM(a.num1) WHERE b.name2 = :name2
2 SELECT MAX(a.num1) WHERE b.name2 = :name2
1 SELECT MIN(a.num1) WHERE b.cat2 = :cat2
3 SELECT a.name1 WHERE b.name2 = :name2 ORDER BY a.num3 DESC LIMIT 1
3 SELECT a.name1 ORDER BY b.num2 DESC LIMIT 1
2 SELECT a.name1 ORDER BY b.num2 LIMIT 1
2 SELECT a.name1, b.name2 ORDER BY a.num3 DESC LIMIT 1
2 SELECT a.name1, b.name2 ORDER BY a.num3 DESC
2 SELECT a.name1 WHERE b.cat2 = :cat2 ORDER BY a.num3
1 SELECT a.name1, b.name2 ORDER BY a.date3 DESC LIMIT :limit
"""

_JOINED_GROUPS = """
9 SELECT a.name1, COUNT(b.*) GROUP BY a.key2
4 SELECT a.key1, a.name2, COUNT(b.*) GROUP BY a.key1
3 SELECT a.name1, COUNT(b.*) GROUP BY a.name1
4 SELECT a.cat1, COUNT(b.*) GROUP BY a.cat1
4 SELECT a.name1, AVG(b.num2) GROUP BY a.key3
4 SELECT a.name1, SUM(b.num2) GROUP BY a.key3
2 SELECT a.name1, MAX(b.num2) GROUP BY a.key3
2 SELECT a.name1, MIN(b.num2) GROUP BY a.key3
1 SELECT a.name1, MAX(b.date2) GROUP BY a.key3
3 SELECT a.cat1, AVG(b.num2) GROUP BY a.cat1
2 SELECT a.cat1, SUM(b.num2) GROUP BY a.cat1
2 SELECT a.name1, COUNT(b.*) WHERE b.cat2 = :cat2 GROUP BY a.key3
2 SELECT a.name1, COUNT(b.*) WHERE a.cat2 = :cat2 GROUP BY a.key3
1 SELECT a.name1, COUNT(b.*) WHERE b.num2 > :num2 GROUP BY a.key3
1 SELECT a.name1, COUNT(DISTINCT b.cat2) GROUP BY a.key3
2 SELECT a.name1, COUNT(b.*) GROUP BY a.key2 ORDER BY COUNT(b.*) DESC
9 SELECT a.name1 GROUP BY a.key2 ORDER BY COUNT(b.*) DESC LIMIT 1
3 SELECT a.name1 GROUP BY a.key2 ORDER BY COUNT(b.*) LIMIT 1
4 SELECT a.name1, COUNT(b.*) GROUP BY a.key2 ORDER BY COUNT(b.*) DESC LIMIT 1
3 SELECT a.name1, a.any2 GROUP BY a.key3 ORDER BY COUNT(b.*) DESC LIMIT 1
2 SELECT a.key1, a.name2 GROUP BY a.key1 ORDER BY COUNT(b.*) DESC LIMIT 1
2 SELECT a.name1 GROUP BY a.key2 ORDER BY COUNT(b.*) DESC LIMIT :limit
2 SELECT a.name1 GROUP BY a.key2 ORDER BY SUM(b.num3) DESC LIMIT 1
1 SELECT a.name1 GROUP BY a.key2 ORDER BY AVG(b.num3) DESC LIMIT 1
1 SELECT a.name1, SUM(b.num2) GROUP BY a.key3 ORDER BY SUM(b.num2) DESC LIMIT :limit
7 SELECT a.name1 GROUP BY a.key2 HAVING COUNT(b.*) > :count
5 SELECT a.name1 GROUP BY a.key2 HAVING COUNT(b.*) >= :count
1 SELECT a.name1 GROUP BY a.key2 HAVING COUNT(b.*) = :count
1 SELECT a.name1 GROUP BY a.key2 HAVING COUNT(b.*) < :count
2 SELECT a.name1, COUNT(b.*) GROUP BY a.key2 HAVING COUNT(b.*) > :count
1 SELECT a.name1, a.any2 GROUP BY a.key3 HAVING COUNT(b.*) >= :count
1 SELECT a.name1 GROUP BY a.key2 HAVING AVG(b.num3) > :num3
1 SELECT a.name1 GROUP BY a.key2 HAVING SUM(b.num3) > :num3
1 SELECT a.name1 WHERE b.cat2 = :cat2 GROUP BY a.key3 HAVING COUNT(b.*) > :count
1 SELECT a.name1 WHERE b.cat2 = :cat2 GROUP BY a.key3 ORDER BY COUNT(b.*) DESC LIMIT 1
2 SELECT a.name1, COUNT(b.*) WHERE LINKED(c) GROUP BY a.key2
"""

_NESTED = """
6 SELECT a.name1 WHERE a.num2 > (SELECT AVG(a.num2))
4 SELECT a.name1 WHERE a.num2 < (SELECT AVG(a.num2))
3 SELECT a.name1, a.num2 WHERE a.num2 > (SELECT AVG(a.num2))
2 SELECT a.name1, a.any2 WHERE a.num3 > (SELECT AVG(a.num3))
2 SELECT COUNT(a.*) WHERE a.num1 > (SELECT AVG(a.num1))
1 SELECT COUNT(a.*) WHERE a.num1 < (SELECT AVG(a.num1))
3 SELECT a.name1 WHERE a.num2 = (SELECT MAX(a.num2))
3 SELECT a.name1 WHERE a.num2 = (SELECT MIN(a.num2))
2 SELECT a.name1, a.any2 WHERE a.num3 = (SELECT MAX(a.num3))
1 SELECT a.name1 WHERE a.date2 = (SELECT MAX(a.date2))
1 SELECT a.name1 WHERE a.cat2 = :cat2 AND a.num3 > (SELECT AVG(a.num3))
1 SELECT a.name1 WHERE a.num2 > (SELECT MAX(a.num2) WHERE a.cat3 = :cat3)
1 SELECT a.name1 WHERE a.num2 > (SELECT AVG(a.num2) WHERE a.cat3 = :cat3)
1 SELECT a.name1 WHERE a.num2 > (SELECT a.num2 WHERE a.name1 = :name1)
1 SELECT a.name1 WHERE a.cat2 = (SELECT a.cat2 WHERE a.name1 = :name1)
10 SELECT a.name1 WHERE a.key2 NOT IN (SELECT b.ref3_key2)
4 SELECT a.name1, a.any2 WHERE a.key3 NOT IN (SELECT b.ref4_key3)
4 SELECT COUNT(a.*) WHERE a.key1 NOT IN (SELECT b.ref2_key1)
2 SELECT a.name1 WHERE a.key2 NOT IN (SELECT b.ref3_key2 WHERE b.cat4 = :cat4)
2 SELECT a.name1 WHERE a.key2 NOT IN (SELECT b.ref3_key2 WHERE b.num4 > :num4)
1 SELECT a.name1 WHERE a.key2 NOT IN (SELECT b.ref3_key2 WHERE c.name4 = :name4)
3 SELECT a.name1 WHERE a.key2 IN (SELECT b.ref3_key2 WHERE b.cat4 = :cat4)
2 SELECT a.name1 WHERE a.key2 IN (SELECT b.ref3_key2 WHERE b.num4 > :num4)
2 SELECT COUNT(a.*) WHERE a.key1 IN (SELECT b.ref2_key1)
1 SELECT a.name1 WHERE a.key2 IN (SELECT b.ref3_key2 GROUP BY b.ref3_key2 HAVING COUNT(b.*) > :count)
1 SELECT a.name1 WHERE a.cat2 = :cat2 AND a.key3 NOT IN (SELECT b.ref4_key3)
1 SELECT a.name1 WHERE EXISTS (SELECT 1 WHERE b.ref2_key3 = a_outer.key3 AND b.cat4 = :cat4)
1 SELECT a.name1 WHERE NOT EXISTS (SELECT 1 WHERE b.ref2_key3 = a_outer.key3)
1 SELECT a.name1 WHERE NOT EXISTS (SELECT 1 WHERE b.ref2_key3 = a_outer.key3 AND b.cat4 = :cat4)
2 SELECT a.name1, a.cat2 WHERE a.num3 = (SELECT MAX(a.num3) WHERE a.cat2 = a_outer.cat2)
1 SELECT a.name1 WHERE a.num2 > (SELECT AVG(a.num2) WHERE a.cat3 = a_outer.cat3)
1 SELECT AVG(a.num1) WHERE a.key2 NOT IN (SELECT b.ref3_key2)
1 SELECT a.name1 WHERE b.num2 > (SELECT AVG(b.num2))
"""

_SETS = """
3 SELECT a.cat1 WHERE a.num2 > :num2 INTERSECT SELECT a.cat1 WHERE a.num2 < :num2_2
2 SELECT a.cat1 WHERE a.cat2 = :cat2 INTERSECT SELECT a.cat1 WHERE a.cat2 = :cat2_2
4 SELECT a.name1 WHERE b.cat2 = :cat2 INTERSECT SELECT a.name1 WHERE b.cat2 = :cat2_2
4 SELECT a.name1 WHERE b.name2 = :name2 INTERSECT SELECT a.name1 WHERE b.name2 = :name2_2
4 SELECT a.name1 EXCEPT SELECT a.name1 WHERE b.cat2 = :cat2
4 SELECT a.name1 EXCEPT SELECT a.name1 WHERE b.name2 = :name2
2 SELECT a.name1 EXCEPT SELECT a.name1 WHERE LINKED(b)
2 SELECT a.cat1 EXCEPT SELECT a.cat1 WHERE a.num2 > :num2
1 SELECT a.key1 EXCEPT SELECT b.ref2_key1
2 SELECT a.name1 WHERE a.num2 > :num2 UNION SELECT a.name1 WHERE a.cat3 = :cat3
1 SELECT a.name1 WHERE a.cat2 = :cat2 UNION SELECT a.name1 WHERE b.cat3 = :cat3
1 SELECT a.name1 UNION SELECT b.name2
"""

_EXOTIC = """
1 SELECT a.name1, CASE WHEN a.num2 > :num2 THEN 'high' ELSE 'low' END
1 SELECT CASE WHEN a.num1 > :num1 THEN 'high' ELSE 'low' END, COUNT(a.*) GROUP BY 1
1 SELECT SUM(CASE WHEN a.cat1 = :cat1 THEN 1 ELSE 0 END), COUNT(a.*)
1 SELECT a.name1, RANK() OVER (ORDER BY a.num2 DESC)
1 SELECT a.name1, RANK() OVER (PARTITION BY a.cat2 ORDER BY a.num3 DESC)
1 SELECT a.name1, a.num2 - (SELECT AVG(a.num2))
1 SELECT MAX(a.num1) - MIN(a.num1)
1 SELECT a.cat1, MAX(a.num2) - MIN(a.num2) GROUP BY a.cat1
1 SELECT a.name1, a.num2 + a.num3
1 SELECT a.name1 WHERE a.num2 > a.num3
1 SELECT COUNT(a.*) * 100.0 / (SELECT COUNT(a.*)) WHERE a.cat1 = :cat1
1 SELECT ROUND(AVG(a.num1), 2)
1 SELECT a.cat1, ROUND(AVG(a.num2), 1) GROUP BY a.cat1
1 SELECT a.name1, ROW_NUMBER() OVER (ORDER BY a.num2 DESC)
1 SELECT a.name1, DENSE_RANK() OVER (ORDER BY a.num2 DESC)
1 SELECT a.name1, a.num2, AVG(a.num2) OVER (PARTITION BY a.cat3)
1 SELECT CAST(SUM(CASE WHEN a.cat1 = :cat1 THEN 1 ELSE 0 END) AS REAL) * 100 / COUNT(a.*)
1 SELECT CAST(SUM(CASE WHEN a.num1 > :num1 THEN 1 ELSE 0 END) AS REAL) * 100 / COUNT(a.*)
1 SELECT CAST(SUM(CASE WHEN a.cat1 = :cat1 THEN 1 ELSE 0 END) AS REAL) * 100 / COUNT(a.*) WHERE a.cat2 = :cat2
1 SELECT a.cat1, SUM(CASE WHEN a.num2 > :num2 THEN 1 ELSE 0 END) GROUP BY a.cat1
1 SELECT COUNT(a.*) WHERE CAST(strftime('%Y', a.date1) AS INTEGER) >= :date1
1 SELECT a.name1 WHERE CAST(strftime('%Y', a.date2) AS INTEGER) > :date2
1 SELECT a.name1, CAST(a.num2 AS REAL) / a.num3
1 SELECT a.name1, COUNT(b.key2) WHERE OPTIONAL(b) GROUP BY a.key3
1 SELECT a.name1, COUNT(b.key2) WHERE OPTIONAL(b) GROUP BY a.key3 ORDER BY COUNT(b.key2) DESC
1 SELECT a.name1 WHERE b.key2 IS NULL AND OPTIONAL(b)
"""

# Tables whose rows have no name of their own (orders, visits) are spoken of by their keys, dates
# and amounts.
_KEYS = """
2 SELECT a.key1
2 SELECT a.key1, a.any2
2 SELECT a.key1 WHERE a.cat2 = :cat2
1 SELECT a.key1 WHERE a.num2 > :num2
1 SELECT a.key1 WHERE a.date2 > :date2
1 SELECT a.key1, a.any2 WHERE a.cat3 = :cat3
1 SELECT a.key1 ORDER BY a.num2 DESC LIMIT 1
1 SELECT a.key1, a.date2 ORDER BY a.date2 DESC
1 SELECT a.key1 WHERE b.name2 = :name2
3 SELECT a.any1, a.any2 WHERE b.name3 = :name3
2 SELECT a.date1 WHERE b.name2 = :name2
2 SELECT a.any1, b.name2 WHERE a.num3 > :num3
1 SELECT a.any1, b.name2 WHERE a.cat3 = :cat3
1 SELECT a.any1 WHERE a.ref2 = :ref2
1 SELECT DISTINCT a.ref1
1 SELECT COUNT(DISTINCT a.ref1)
1 SELECT COUNT(DISTINCT a.ref1) WHERE a.cat2 = :cat2
1 SELECT a.ref1, COUNT(a.*) GROUP BY a.ref1
1 SELECT a.ref1, AVG(a.num2) GROUP BY a.ref1
1 SELECT a.ref1 GROUP BY a.ref1 HAVING COUNT(a.*) > :count
1 SELECT a.ref1 GROUP BY a.ref1 ORDER BY COUNT(a.*) DESC LIMIT 1
"""

_SECTIONS = (
  _PROJECTIONS,
  _FILTERS,
  _TWO_CONDITIONS,
  _AGGREGATES,
  _GROUPS,
  _ORDER,
  _DATES,
  _JOINS,
  _JOINED_GROUPS,
  _NESTED,
  _SETS,
  _EXOTIC,
  _KEYS,
)


def pool_lines() -> list[tuple[float, str]]:
  """The pool as (weight, template text), in the order of the tables above."""
  lines = [line for section in _SECTIONS for line in section.strip().splitlines()]
  return [(float(weight), text) for weight, text in (line.split(" ", 1) for line in lines)]


@functools.lru_cache(maxsize=1)
def builtin_templates() -> tuple[templates_lib.WeightedTemplate, ...]:
  """The pool, each template once, with the weight of its line. The lines are canonical as they
  stand.
  """
  return tuple(
    templates_lib.WeightedTemplate(templates_lib.Template(text), weight)
    for weight, text in pool_lines()
  )
