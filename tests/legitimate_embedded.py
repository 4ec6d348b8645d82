"""SELECTs that people and models rightly write for SQLite and DuckDB, on the tables of
`SQLITE_SCRIPT` and `DUCKDB_SCRIPT`.

Each is a text, or a text and the reason why it is not run all the same.
"""

_TABLES = """
  CREATE TABLE store (id INTEGER PRIMARY KEY, name VARCHAR, "opening date" DATE, city VARCHAR);
  INSERT INTO store VALUES (1, 'North', '2020-01-05', 'Oslo'), (2, 'South', '2021-06-30', 'Rome'), (3, 'West', NULL, 'Oslo');
  CREATE TABLE sale (id INTEGER PRIMARY KEY, store_id INTEGER, item VARCHAR, price DOUBLE, sold DATE, tags VARCHAR);
  INSERT INTO sale VALUES
    (1, 1, 'tea', 2.5, '2024-01-01', '["hot", "green"]'), (2, 1, 'cup', 7.0, '2024-01-02', '[]'),
    (3, 2, 'tea', 2.75, '2024-02-01', '["hot"]'), (4, 3, 'pot', 19.0, '2024-02-29', NULL),
    (5, 3, 'cup', 6.5, '2024-03-01', '[]');
  CREATE TABLE staff (id INTEGER PRIMARY KEY, name VARCHAR, boss_id INTEGER);
  INSERT INTO staff VALUES (1, 'Ada', NULL), (2, 'Bob', 1), (3, 'Cy', 2);
  CREATE TABLE log ("update" INTEGER, "delete" VARCHAR, "into" INTEGER, "select" VARCHAR, "order" INTEGER);
  INSERT INTO log VALUES (1, 'a', 2, 'b', 3);
  CREATE VIEW dear AS SELECT * FROM sale WHERE price > 5;
"""

SQLITE_SCRIPT = (
  _TABLES
  + """
  CREATE VIRTUAL TABLE note USING fts5(title, body, tokenize = 'porter unicode61');
  INSERT INTO note VALUES ('first', 'running water'), ('second', 'still waters run deep');
  CREATE VIRTUAL TABLE old_note USING fts4(title, body);
  INSERT INTO old_note VALUES ('first', 'running water'), ('second', 'still water');
  CREATE VIRTUAL TABLE older_note USING fts3(body);
  INSERT INTO older_note VALUES ('running water');
  CREATE VIRTUAL TABLE terms USING fts5vocab(note, 'row');
  CREATE VIRTUAL TABLE place USING rtree(id, left, right, bottom, top);
  INSERT INTO place VALUES (1, 0, 1, 0, 1), (2, 5, 6, 5, 6);
  CREATE VIRTUAL TABLE "search using words" USING fts5(item, content = 'sale', content_rowid = 'id');
  CREATE TABLE made (a INTEGER, twice INTEGER GENERATED ALWAYS AS (2 * a) VIRTUAL) STRICT;
  INSERT INTO made VALUES (4);
"""
)

DUCKDB_SCRIPT = (
  _TABLES
  + """
  CREATE TABLE shape (id INTEGER, corner STRUCT(x INTEGER, y INTEGER), sides INTEGER[], extra MAP(VARCHAR, INTEGER));
  INSERT INTO shape VALUES (1, {'x': 1, 'y': 2}, [3, 4, 5], MAP {'a': 1}), (2, {'x': 0, 'y': 0}, [], MAP {});
  CREATE TABLE quote (item VARCHAR, quoted TIMESTAMP, value DOUBLE);
  INSERT INTO quote VALUES ('tea', '2023-12-31', 2.0), ('tea', '2024-01-15', 2.5), ('cup', '2024-01-01', 7.0);
  CREATE MACRO with_tax(p) AS p * 1.25;
  CREATE MACRO sales_of(i) AS TABLE SELECT * FROM sale WHERE item = i;
  CREATE MACRO luck() AS random();
  CREATE MACRO more_luck(x) AS x + luck();
  CREATE MACRO some_sales() AS TABLE SELECT * FROM sale USING SAMPLE 2 ROWS;
  CREATE VIEW lucky AS SELECT id, more_luck(id) AS number FROM sale;
  CREATE VIEW lucky_too AS SELECT id FROM lucky WHERE number > 3;
  CREATE TABLE draw (a INTEGER, ball DOUBLE GENERATED ALWAYS AS (random() * a));
  CREATE TABLE tagged (id UUID DEFAULT gen_random_uuid(), a INTEGER, b INTEGER GENERATED ALWAYS AS (a + 1));
  INSERT INTO tagged (a) VALUES (1);
"""
)

SQLITE = [
  "SELECT name FROM store",
  "select count(*) from sale where price > 5;",
  "  \n\tSELECT\n*\nFROM\nsale\n;\n",
  "-- all stores\nSELECT name FROM store -- the end",
  "/* a; b */ SELECT name /* ; */ FROM store",
  "WITH dear_ones AS (SELECT * FROM sale WHERE price > 5) SELECT COUNT(*) FROM dear_ones",
  "WITH a AS MATERIALIZED (SELECT 1 AS x), b AS NOT MATERIALIZED (SELECT x + 1 AS y FROM a) SELECT * FROM a, b",
  "WITH RECURSIVE chain(id, depth) AS (SELECT id, 0 FROM staff WHERE boss_id IS NULL UNION ALL "
  "SELECT s.id, depth + 1 FROM staff s JOIN chain c ON s.boss_id = c.id) SELECT * FROM chain",
  "WITH RECURSIVE day(d) AS (SELECT date('2024-01-01') UNION ALL SELECT date(d, '+1 day') FROM "
  "day WHERE d < '2024-01-05') "
  "SELECT d FROM day",
  "VALUES (1, 'a'), (2, 'b')",
  "SELECT * FROM (VALUES (1, 2), (3, 4))",
  "WITH v(a, b) AS (VALUES (1, 2)) SELECT a + b FROM v",
  "SELECT item, SUM(price) OVER (PARTITION BY item ORDER BY sold ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM sale",
  "SELECT item, RANK() OVER w, LAG(price, 1, 0) OVER w FROM sale WINDOW w AS (ORDER BY price DESC)",
  "SELECT item, NTILE(2) OVER (ORDER BY price), PERCENT_RANK() OVER (ORDER BY price) FROM sale",
  "SELECT item, COUNT(*) FILTER (WHERE price > 5) FROM sale GROUP BY item HAVING COUNT(*) > 1",
  "SELECT item, GROUP_CONCAT(sold, '; ') FROM sale GROUP BY item ORDER BY 1 LIMIT 2 OFFSET 1",
  "SELECT DISTINCT city FROM store UNION SELECT item FROM sale EXCEPT SELECT 'tea' INTERSECT SELECT 'tea' ORDER BY 1",
  "SELECT s.name FROM store s LEFT JOIN sale x ON x.store_id = s.id WHERE x.id IS NULL",
  "SELECT * FROM store NATURAL JOIN staff",
  "SELECT a.item, b.item FROM sale a CROSS JOIN sale b WHERE a.id < b.id",
  "SELECT name FROM store s WHERE EXISTS (SELECT 1 FROM sale WHERE store_id = s.id AND price > 10)",
  "SELECT name FROM store WHERE id IN (SELECT store_id FROM sale GROUP BY store_id HAVING SUM(price) > 9)",
  "SELECT (SELECT MAX(price) FROM sale), (SELECT MIN(price) FROM sale)",
  "SELECT CASE WHEN price > 5 THEN 'dear' ELSE 'cheap' END AS kind, COUNT(*) FROM sale GROUP BY kind",
  'SELECT "opening date" FROM store WHERE "opening date" IS NOT NULL',
  "SELECT `opening date`, [name] FROM store",
  'SELECT "update", "delete", "into", "select", "order" FROM log',
  "SELECT l.[update] + l.[into] FROM log AS l ORDER BY l.`order`",
  "SELECT id AS 'insert into', name AS \"delete\" FROM store",
  "SELECT REPLACE(name, 'o', 'delete from') FROM store WHERE name != 'DROP TABLE store; --'",
  "SELECT 'it''s; an update', '-- no comment', '/* nor this' FROM store",
  "SELECT STRFTIME('%Y', sold), COUNT(*) FROM sale GROUP BY 1",
  "SELECT JULIANDAY('2024-03-01') - JULIANDAY(sold), DATE(sold, 'start of month', '+1 month', '-1 day') FROM sale",
  "SELECT DATE('now'), CURRENT_TIMESTAMP",
  "SELECT UNIXEPOCH('2024-01-01'), TIME('12:00', '+30 minutes')",
  "SELECT CAST(SUBSTR(sold, 1, 4) AS INTEGER) FROM sale WHERE sold BETWEEN '2024-01-01' AND '2024-02-01'",
  "SELECT PRINTF('%.2f', price), ROUND(price, 1), ABS(-price), price % 2, price / 2 FROM sale",
  "SELECT UPPER(item) || '-' || LOWER(city), LENGTH(item), INSTR(item, 'e'), TRIM(item), HEX(item) FROM sale, store",
  "SELECT COALESCE(tags, 'none'), IFNULL(tags, ''), NULLIF(tags, '[]'), IIF(price > 5, 1, 0) FROM sale",
  "SELECT name FROM store WHERE name LIKE '%o%' ESCAPE '\\' OR name GLOB 'N*' OR name COLLATE NOCASE = 'north'",
  "SELECT SQRT(price), POWER(price, 2), LOG(price), FLOOR(price), PI() FROM sale",
  "SELECT JSON_EXTRACT(tags, '$[0]'), tags -> 0, tags ->> '$[0]', JSON_ARRAY_LENGTH(tags) FROM sale",
  "SELECT sale.id, tag.value FROM sale, json_each(sale.tags) AS tag",
  'SELECT key, value, type FROM json_each(\'{"a": 1, "b": [2]}\')',
  'SELECT fullkey, atom FROM json_tree(\'{"a": {"b": 1}}\') WHERE atom IS NOT NULL',
  "SELECT id FROM sale WHERE EXISTS (SELECT 1 FROM json_each(tags) WHERE value = 'green')",
  "SELECT JSON_GROUP_ARRAY(item), JSON_GROUP_OBJECT(id, price), JSON_OBJECT('a', 1) FROM sale",
  "SELECT title FROM note WHERE note MATCH 'run'",
  "SELECT title, bm25(note) FROM note('water') ORDER BY rank",
  "SELECT highlight(note, 1, '<b>', '</b>'), snippet(note, 1, '[', ']', '...', 3) FROM note WHERE note MATCH 'body: water*'",
  "SELECT n.title FROM note n JOIN store s ON s.id = n.rowid WHERE n.body MATCH '\"still waters\" OR deep'",
  "SELECT title, offsets(old_note), matchinfo(old_note) FROM old_note WHERE body MATCH 'water'",
  "SELECT snippet(older_note) FROM older_note WHERE older_note MATCH 'wat*'",
  "SELECT term, doc FROM terms ORDER BY term",
  "SELECT id FROM place WHERE left >= 0 AND right <= 2",
  "SELECT p.id, s.name FROM place p JOIN store s USING (id)",
  'SELECT COUNT(*) FROM "search using words"',
  "SELECT a, twice FROM made",
  "SELECT COUNT(*), AVG(price), TOTAL(price) FROM dear",
  "SELECT sql FROM sqlite_master WHERE type = 'table'",
  "SELECT TYPEOF(price), x'0a', 0x10, 1e3, .5, NULL IS NOT 1 FROM sale",
  "SELECT (1, 2) = (SELECT 1, 2), 3 BETWEEN 1 AND 5, 1 IS DISTINCT FROM 2",
  "SELECT rowid, oid, _rowid_ FROM sale LIMIT 1",
  ("SELECT name FROM store ORDER BY RANDOM() LIMIT 1", "which row it gives is luck"),
  ("SELECT name, ABS(RANDOM()) % 3 FROM store", "the number is luck"),
  ("SELECT * FROM pragma_table_info('store')", "tells about the tables; the prompt does"),
]

DUCKDB = [
  "SELECT name FROM store",
  "FROM store",
  "FROM store SELECT name WHERE city = 'Oslo'",
  "from sale select item, sum(price) group by item order by all",
  "VALUES (1, 'a'), (2, 'b')",
  "TABLE store",
  "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1",
  "((SELECT name FROM store))",
  "WITH x AS (SELECT 1 AS a) FROM x",
  "WITH x AS (FROM sale SELECT item) FROM x SELECT count(*)",
  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) FROM n",
  "-- comment\nSELECT 1 /* another; */ AS a; -- end",
  "PIVOT sale ON item USING sum(price)",
  "PIVOT sale ON item USING sum(price) GROUP BY store_id ORDER BY store_id",
  "SELECT * FROM (PIVOT sale ON item USING count(*) GROUP BY store_id)",
  "SELECT * FROM (PIVOT sale ON item IN ('tea', 'cup') USING avg(price))",
  "WITH p AS (PIVOT sale ON item USING sum(price) GROUP BY store_id) SELECT * FROM p",
  "SELECT * FROM sale PIVOT (sum(price) FOR item IN ('tea', 'cup') GROUP BY store_id)",
  "UNPIVOT (SELECT id, price FROM sale) ON price INTO NAME what VALUE amount",
  "SELECT * FROM (UNPIVOT (SELECT id, price FROM sale) ON COLUMNS(* EXCLUDE (id)) INTO NAME what VALUE amount)",
  "SELECT item, price FROM sale QUALIFY row_number() OVER (PARTITION BY item ORDER BY price DESC) = 1",
  "SELECT * EXCLUDE (tags) FROM sale",
  "SELECT * REPLACE (round(price) AS price) FROM sale",
  "SELECT * RENAME (price AS amount) FROM sale",
  "SELECT COLUMNS('i.*') FROM sale",
  "SELECT min(COLUMNS(* EXCLUDE (tags))) FROM sale",
  "SELECT [x * 2 FOR x IN sides IF x > 3] FROM shape",
  "SELECT list_transform(sides, lambda x: x + 1), list_filter(sides, lambda x: x > 3) FROM shape",
  "SELECT list_reduce([1, 2, 3], lambda a, b: a + b), list_sort([3, 1]), list_distinct([1, 1])",
  "SELECT corner.x, corner['y'], (corner).x, struct_extract(corner, 'y') FROM shape",
  "SELECT corner.* FROM shape",
  "SELECT extra['a'], map_keys(extra), cardinality(extra) FROM shape",
  "SELECT id, unnest(sides) AS side FROM shape",
  "SELECT s.id, side FROM shape s, unnest(s.sides) AS u(side)",
  "SELECT s.id, x.i FROM shape s, LATERAL (SELECT unnest(s.sides) AS i) x",
  "SELECT unnest({'a': 1, 'b': {'c': 2}}, recursive := true)",
  "SELECT s.item, q.value FROM sale s ASOF JOIN quote q ON s.item = q.item AND s.sold >= q.quoted",
  "SELECT * FROM (SELECT name FROM store) POSITIONAL JOIN (SELECT item FROM sale)",
  "SELECT name FROM store SEMI JOIN sale ON sale.store_id = store.id",
  "SELECT name FROM store ANTI JOIN sale ON sale.store_id = store.id",
  "SELECT city, name, count(*) FROM store GROUP BY GROUPING SETS ((city), (city, name), ())",
  "SELECT city, name, grouping(city) FROM store GROUP BY ROLLUP (city, name)",
  "SELECT city, name FROM store GROUP BY CUBE (city, name) ORDER BY ALL",
  "SELECT item, count(*) FILTER (WHERE price > 5), sum(price) FILTER (price < 5) FROM sale GROUP BY ALL",
  "SELECT item, string_agg(id::VARCHAR, ',' ORDER BY id), list(price ORDER BY price), "
  "arg_max(id, price) FROM sale GROUP BY item",
  "SELECT quantile_cont(price, [0.25, 0.5]), median(price), mode(item), approx_count_distinct(item), histogram(item) FROM sale",
  "SELECT item, sum(price) OVER w, lag(price) OVER w FROM sale WINDOW w AS (PARTITION BY item ORDER BY sold)",
  "SELECT avg(price) OVER (ORDER BY sold RANGE BETWEEN INTERVAL 30 DAYS PRECEDING AND CURRENT "
  "ROW EXCLUDE CURRENT ROW) FROM sale",
  'SELECT "opening date" FROM store',
  'SELECT "update", "delete", "into", "select" FROM log',
  'SELECT log.update, delete, into_ FROM (SELECT "update" AS update, "delete" AS delete, 1 AS into_ FROM log) log',
  "SELECT replace(name, 'o', 'delete from') FROM store WHERE name <> 'DROP TABLE store; --'",
  "SELECT $$it's; an update$$, $tag$ random() $tag$, E'a\\'b; c', 'random()'",
  "SELECT date_trunc('month', sold), date_diff('day', sold, DATE '2024-03-01'), date_part('dow', sold) FROM sale",
  "SELECT sold + INTERVAL 1 MONTH, sold - DATE '2024-01-01', strftime(sold, '%Y-%m'), dayname(sold), last_day(sold) FROM sale",
  "SELECT strptime('2024-01-02', '%Y-%m-%d'), epoch(TIMESTAMP '2024-01-01'), make_date(2024, 2, 29), age(DATE '2024-01-01')",
  "SELECT now(), today(), current_date, current_timestamp",
  "SELECT * FROM range(5)",
  "SELECT * FROM generate_series(DATE '2024-01-01', DATE '2024-01-03', INTERVAL 1 DAY)",
  "SELECT id, tag FROM sale, (SELECT unnest(from_json(tags, '[\"VARCHAR\"]')) AS tag)",
  "SELECT json_extract(tags, '$[0]'), tags -> '$[0]', tags ->> '$[0]', json_array_length(tags), json_type(tags) FROM sale",
  "SELECT s.id, j.value FROM sale s, json_each(s.tags) j",
  "SELECT to_json({'a': 1}), json_object('a', 1), '{\"a\": 1}'::JSON -> 'a', json_group_array(id) FROM sale",
  "SELECT regexp_extract(item, '([a-z])', 1), regexp_replace(item, 'e', 'x', 'g'), item SIMILAR "
  "TO '(tea|cup)', item ~ 't' FROM sale",
  "SELECT price::INTEGER, TRY_CAST(item AS INTEGER), CAST(price AS DECIMAL(9, 2)), price // 2, 7 % 2, 2 ** 3 FROM sale",
  "SELECT item[1], item[1:2], 'abc'[-1], item.upper(), upper(item).lower() FROM sale",
  "SELECT if(price > 5, 'a', 'b'), ifnull(tags, ''), coalesce(tags, ''), greatest(1, 2), CASE id WHEN 1 THEN 2 END FROM sale",
  "SELECT a: 1, b: 2",
  "SELECT id AS a, a + 1 AS b FROM sale WHERE a > 1",
  "SELECT #1 FROM store ORDER BY #1",
  "SELECT name FROM store ORDER BY name DESC NULLS LAST LIMIT 50%",
  "SELECT DISTINCT ON (city) city, name FROM store ORDER BY city, name",
  "SELECT name FROM store UNION BY NAME SELECT name, id FROM staff",
  "SELECT count() FROM sale",
  "SELECT with_tax(price) FROM sale",
  "FROM sales_of('tea') SELECT count(*)",
  "SELECT * FROM dear",
  "SELECT a, b FROM tagged",
  "SELECT id FROM tagged WHERE a = 1",
  "SELECT EXISTS (FROM sale), 1 IN (SELECT id FROM sale), 3 > ALL (SELECT 1), (1, 2) = (1, 2)",
  "SELECT table_name FROM information_schema.tables ORDER BY 1",
  "SELECT main.store.name, store.city FROM main.store",
  "SELECT bar(price, 0, 20, 10), format('{:.2f}', price), printf('%d', id), lpad(item, 5, '.'), hash(item) FROM sale",
  ("SELECT name FROM store ORDER BY random() LIMIT 1", "which row it gives is luck"),
  ("SELECT name FROM store USING SAMPLE 1 ROWS", "which row it gives is luck"),
  (
    "SELECT name FROM store USING SAMPLE reservoir(50%) REPEATABLE (42)",
    "a sample, though the same each time",
  ),
  ("SELECT name FROM store TABLESAMPLE 50%", "which rows it gives is luck"),
  ("SELECT count(*) FROM (SELECT * FROM sale TABLESAMPLE bernoulli(50%))", "the count is luck"),
  ("SELECT uuid()", "the value is luck"),
  ("SELECT luck()", "a macro of the database over random()"),
  ("SELECT main.more_luck(1)", "a macro over a macro over random()"),
  ("FROM some_sales()", "a macro that takes a sample"),
  ("SELECT count(*) FROM lucky", "a view on a macro over random()"),
  ("TABLE lucky_too", "a view on such a view"),
  ("SELECT ball FROM draw", "a column that is drawn anew each time"),
  ("DESCRIBE store", "tells about a table; the prompt does"),
  ("SUMMARIZE sale", "tells about a table"),
  ("SELECT error('no')", "DuckDB calls it volatile"),
]
