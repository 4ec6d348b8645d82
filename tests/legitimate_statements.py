"""SELECTs that people and models write and that must run: each with the reason why one is refused,
"" for none.

They run on `POSTGRESQL_SCHEMA`. The names of its tables and columns are those that functions have
as well.
"""

POSTGRESQL_SCHEMA = """
CREATE EXTENSION pg_trgm; CREATE EXTENSION unaccent; CREATE EXTENSION fuzzystrmatch; CREATE EXTENSION hstore;
CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION intarray;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN grade AS INTEGER CHECK (VALUE BETWEEN 1 AND 6);
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, "user" TEXT, date DATE, version INTEGER, count INTEGER,
  mood mood, mail CITEXT, grade grade, extra HSTORE, path LTREE, born TIMESTAMPTZ, active BOOLEAN);
CREATE TABLE "order" (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer, total NUMERIC(10, 2), random FLOAT8,
  year INTEGER, item JSONB, tags TEXT[], placed TIMESTAMP, length INTEGER, document TEXT, xml TEXT, total_due NUMERIC);
CREATE TABLE orders (id INTEGER, customer_id INTEGER, total NUMERIC, status TEXT, nextval INTEGER, currval INTEGER);
CREATE VIEW big_orders AS SELECT id, total, round(total * 1.19, 2) AS gross FROM "order" WHERE total > 5;
CREATE VIEW recent AS SELECT id, placed FROM "order" WHERE placed < now();
CREATE VIEW nested AS SELECT b.id, r.placed FROM big_orders b JOIN recent r USING (id);
CREATE FUNCTION pure_total(NUMERIC) RETURNS NUMERIC LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE VIEW owners_view AS SELECT id, pure_total(total) AS doubled FROM "order";
CREATE FUNCTION total("order") RETURNS NUMERIC LANGUAGE sql AS 'SELECT 1.0';
CREATE FUNCTION status(orders) RETURNS TEXT LANGUAGE sql AS $$SELECT 'x'$$;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM customer;
CREATE TABLE sale (id INTEGER, day DATE, amount NUMERIC) PARTITION BY RANGE (day);
CREATE TABLE sale_2024 PARTITION OF sale FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO customer VALUES (1, 'Zoë', 'zoe', '2024-01-02', 3, 7, 'ok', 'Z@x.org', 2, 'a=>1', 'a.b.c', now(), true);
INSERT INTO "order" VALUES (1, 1, 9.5, 0.5, 2024, '{"items": [{"price": 3, "tags": ["a"]}], "k": {"v": 1}}', '{a,b}',
  '2024-03-04 10:11:12', 3, 'd', '<a/>', 1);
INSERT INTO orders VALUES (1, 1, 9.5, 'new', 1, 1);
INSERT INTO sale VALUES (1, '2024-05-06', 3);
"""

_XML = "XML is read by a library that the server cannot stop"
_LUCK = "the result is a matter of luck"
_OWN = "the function did not come with the server; --allow_functions lets it run"

POSTGRESQL = (
  # Columns, tables and aliases that are called like functions.
  ("SELECT count FROM customer", ""),
  ('SELECT c.count, c.name, c.date, c.version, c."user" FROM customer AS c', ""),
  ("SELECT customer.count + 1 AS count FROM customer WHERE customer.version > 1", ""),
  ('SELECT random FROM "order" WHERE random < 1', ""),
  ('SELECT o.random, o.length, o.year FROM "order" o', ""),
  ("SELECT nextval, currval FROM orders", ""),
  ("SELECT orders.nextval FROM orders", ""),
  ("SELECT o.nextval, o.currval FROM orders AS o JOIN customer c ON c.id = o.customer_id", ""),
  ('SELECT total FROM "order"', ""),
  ('SELECT "order".total FROM "order"', ""),
  ('SELECT o.total FROM "order" AS o ORDER BY o.total DESC LIMIT 3', ""),
  (
    'SELECT c.name, SUM(o.total) AS total FROM customer c JOIN "order" o ON o.customer_id = c.id GROUP BY c.name',
    "",
  ),
  ("SELECT public.orders.status FROM public.orders", ""),
  ("SELECT o.status, COUNT(*) FROM public.orders o GROUP BY o.status", ""),
  ('WITH total(a) AS (SELECT total FROM "order") SELECT a FROM total', ""),
  ("WITH total AS (SELECT 1 AS a) SELECT total.a FROM total", ""),
  ('SELECT a FROM (SELECT total FROM "order") AS total(a)', ""),
  (
    "WITH RECURSIVE status(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM status WHERE n < 5) SELECT * FROM status",
    "",
  ),
  ("WITH x AS (SELECT 1 AS a), status(b) AS (SELECT 2) SELECT * FROM x, status", ""),
  ('SELECT sum(total) AS random FROM "order" HAVING sum(total) > 1', ""),
  ('SELECT document, xml FROM "order"', ""),
  ('SELECT o.xml, o.document FROM "order" o', ""),
  ("SELECT id AS xml FROM customer", ""),
  ('SELECT count(*) AS "pg_sleep" FROM customer', ""),
  # Ordinary functions.
  ("SELECT date_trunc('month', placed), to_char(placed, 'YYYY-MM') FROM \"order\"", ""),
  ("SELECT EXTRACT(YEAR FROM placed), date_part('dow', placed), age(placed) FROM \"order\"", ""),
  ("SELECT now(), current_date, current_timestamp, localtime, now()::date - 7", ""),
  (
    "SELECT placed AT TIME ZONE 'UTC', placed + INTERVAL '3 days', make_date(2024, 1, 2) FROM \"order\"",
    "",
  ),
  ("SELECT to_date('2024-01-02', 'YYYY-MM-DD'), to_timestamp(0), to_number('1,2', '9G9')", ""),
  (
    "SELECT string_agg(name, ', ' ORDER BY name), array_agg(DISTINCT id), bool_or(active) FROM customer",
    "",
  ),
  ("SELECT generate_series(1, 5)", ""),
  (
    "SELECT d::date FROM generate_series(DATE '2024-01-01', DATE '2024-02-01', INTERVAL '1 week') AS d",
    "",
  ),
  (
    'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY id) FROM "order"',
    "",
  ),
  ('SELECT count(*) FILTER (WHERE total > 3), count(DISTINCT customer_id) FROM "order"', ""),
  (
    "SELECT row_number() OVER (PARTITION BY customer_id ORDER BY total DESC), lag(total) "
    'OVER w FROM "order" WINDOW w AS (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)',
    "",
  ),
  (
    'SELECT rank() OVER (ORDER BY total), ntile(4) OVER (ORDER BY id), first_value(id) OVER (ORDER BY id) FROM "order"',
    "",
  ),
  (
    "SELECT coalesce(name, 'none'), nullif(name, ''), greatest(1, 2), least(1, 2) FROM customer",
    "",
  ),
  (
    "SELECT upper(name), lower(name), initcap(name), length(name), substring(name FROM 1 "
    "FOR 2), trim(BOTH ' ' FROM name), position('o' IN name), overlay(name PLACING 'x' "
    "FROM 1), left(name, 2), split_part(name, 'o', 1) FROM customer",
    "",
  ),
  (
    "SELECT regexp_replace(name, '[aeiou]', '*', 'g'), regexp_matches(name, 'Z(.)') FROM customer",
    "",
  ),
  (
    "SELECT name FROM customer WHERE name ~* '^z' AND name !~ 'x' AND name SIMILAR TO 'Z%' AND name ILIKE '%o%'",
    "",
  ),
  (
    "SELECT regexp_split_to_table('a,b', ','), string_to_array('a,b', ','), unnest(ARRAY[1, 2])",
    "",
  ),
  (
    "SELECT concat(name, ' ', mail), concat_ws('-', id, name), format('%s is %s', id, name), name || '!' FROM customer",
    "",
  ),
  (
    "SELECT lpad(id::text, 8, '0'), rpad(name, 5), repeat('*', version), reverse(name), md5(name) FROM customer",
    "",
  ),
  (
    "SELECT round(total, 1), ceil(total), floor(total), abs(-total), mod(7, 3), power(2, "
    "3), sqrt(total), ln(total), exp(1), trunc(total), sign(total), pi(), "
    'width_bucket(total, 0, 10, 5) FROM "order"',
    "",
  ),
  (
    'SELECT avg(total), stddev(total), variance(total), corr(total, id), regr_slope(total, id), covar_pop(1, 2) FROM "order"',
    "",
  ),
  (
    "SELECT CAST(total AS INTEGER), total::numeric(10, 2), '7'::int, DATE '2024-01-01', "
    "CAST('2024-01-01' AS date) FROM \"order\"",
    "",
  ),
  ('SELECT pg_typeof(total), pg_size_pretty(1000::bigint) FROM "order"', ""),
  (
    "SELECT array_length(tags, 1), cardinality(tags), tags[1], array_to_string(tags, ','), 'a' = ANY(tags) FROM \"order\"",
    "",
  ),
  (
    "SELECT tags || ARRAY['c'], array_append(tags, 'c'), array_position(tags, 'b'), tags "
    "@> ARRAY['a'], tags && '{b}' FROM \"order\"",
    "",
  ),
  (
    "SELECT EXISTS (SELECT 1 FROM customer), ARRAY(SELECT id FROM customer), (1, 2) < (1, 3), ROW(1, 'a')",
    "",
  ),
  (
    "SELECT CASE mood WHEN 'ok' THEN 1 ELSE 2 END, mood::text, mood > 'sad', enum_range(NULL::mood) FROM customer",
    "",
  ),
  ("SELECT grade, grade + 1, grade::int, 3::grade FROM customer", ""),
  # JSON, full text, extensions.
  (
    "SELECT item->'k'->>'v', item#>>'{k,v}', item @> '{\"k\": {\"v\": 1}}', item ? 'k' FROM \"order\"",
    "",
  ),
  (
    "SELECT jsonb_array_elements(item->'items')->>'price', jsonb_object_keys(item) FROM \"order\"",
    "",
  ),
  ("SELECT x.price FROM \"order\", jsonb_to_recordset(item->'items') AS x(price INTEGER)", ""),
  (
    "SELECT json_build_object('a', 1), jsonb_agg(id), to_jsonb(o), row_to_json(o), "
    'jsonb_pretty(item) FROM "order" o GROUP BY o.*, item',
    "",
  ),
  ("SELECT jsonb_path_query(item, '$.items[*].price') FROM \"order\"", ""),
  (
    "SELECT jsonb_path_query_array(item, '$.items[*] ? (@.price > 2).price'), "
    "jsonb_path_exists(item, '$.k.v ? (@ == 1)') FROM \"order\"",
    "",
  ),
  (
    "SELECT jsonb_path_query_first(item, '$.items[*] ? (@.price >= $min && @.price < 9)', '{\"min\": 2}') FROM \"order\"",
    "",
  ),
  (
    "SELECT item @? '$.items[*].tags', item @@ '$.k.v == 1', jsonb_path_query(item, '$.k'::jsonpath) FROM \"order\"",
    "",
  ),
  (
    "SELECT to_tsvector('english', name) @@ to_tsquery('english', 'zoe & !x'), "
    "ts_rank(to_tsvector(name), plainto_tsquery('zoe')) FROM customer",
    "",
  ),
  (
    "SELECT to_tsvector(name) @@ 'zoe | x'::tsquery, ts_headline(name, to_tsquery('zoe')) FROM customer",
    "",
  ),
  (
    "SELECT similarity(name, 'zoe'), name % 'zoe', name <-> 'zoe', word_similarity('zo', name) FROM customer",
    "",
  ),
  (
    "SELECT unaccent(name), levenshtein(name, 'zoe'), soundex(name), metaphone(name, 4), dmetaphone(name) FROM customer",
    "",
  ),
  ("SELECT extra->'a', extra ? 'a', akeys(extra), hstore('a', 'b') FROM customer", ""),
  (
    "SELECT mail = 'z@X.ORG', mail LIKE 'z%', path <@ 'a', nlevel(path), subpath(path, 0, "
    "1), ARRAY[1, 2] & ARRAY[2] FROM customer",
    "",
  ),
  # Tables of every kind.
  ("SELECT * FROM big_orders WHERE gross > 1", ""),
  ("SELECT * FROM nested", ""),
  ("SELECT * FROM owners_view", ""),
  ("SELECT n FROM kept", ""),
  ("SELECT date_trunc('year', day), sum(amount) FROM sale GROUP BY ROLLUP (1)", ""),
  (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'",
    "",
  ),
  ("SELECT relname, reltuples FROM pg_class WHERE relkind = 'r'", ""),
  ("SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = 'public'", ""),
  # The grammar.
  (
    'SELECT c.name FROM customer c LEFT JOIN LATERAL (SELECT max(total) AS m FROM "order" '
    "o WHERE o.customer_id = c.id) x ON true WHERE x.m > 1",
    "",
  ),
  ('(SELECT id FROM customer) UNION ALL (SELECT id FROM "order") EXCEPT SELECT 5 ORDER BY 1', ""),
  ("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(id, name) NATURAL JOIN customer", ""),
  (
    'SELECT DISTINCT ON (customer_id) customer_id, total FROM "order" ORDER BY customer_id, total DESC FETCH FIRST 2 ROWS ONLY',
    "",
  ),
  (
    'SELECT id FROM customer WHERE (id, version) IN (SELECT customer_id, 3 FROM "order") AND id NOT IN (4, 5)',
    "",
  ),
  (
    "SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY['a', 'b'])) WITH ORDINALITY AS r(a, b, n)",
    "",
  ),
  (
    'SELECT customer_id, grouping(customer_id), count(*) FROM "order" GROUP BY GROUPING SETS ((customer_id), ())',
    "",
  ),
  (
    "SELECT E'it\\'s', $$it's$$, $a$b$a$, 'it''s', U&'\\0061', B'101', X'1F' -- a comment; with a semicolon",
    "",
  ),
  ("SELECT /* random() /* nested */ pg_sleep(1) */ 'pg_sleep(1)' AS \"random()\"", ""),
  ("SELECT (c).name, (c.*).version FROM customer c", ""),
  (
    "SELECT (item->'k')::text, ((total)) FROM \"order\" WHERE NOT (total IS NULL) AND total BETWEEN SYMMETRIC 10 AND 1",
    "",
  ),
  ("SELECT xmlelement(name a, name), xmlforest(id) FROM customer", ""),
  # Refused.
  ("SELECT xpath('/a/text()', '<a>x</a>'::xml)", _XML),
  ('SELECT * FROM "order" ORDER BY random() LIMIT 1', _LUCK),
  ("SELECT gen_random_uuid()", _LUCK),
  ("SELECT * FROM customer TABLESAMPLE BERNOULLI (10)", _LUCK),
  ('SELECT pure_total(total) FROM "order"', _OWN),
)
