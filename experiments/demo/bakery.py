"""Awkward demo domain `bakery` (DuckDB): the star schema of a chain of bakeries.

One table of facts, four dimensions with keys that are partly declared, days as DATE and as numbers
such as 20240131, TIMESTAMP, DECIMAL, BOOLEAN, an ENUM, lists, a STRUCT, comments, and views.
Everything is drawn from the generator given to `rows`.
"""

from __future__ import annotations

import datetime
import random

SCHEMA: str = """
CREATE TYPE tier AS ENUM ('bronze', 'silver', 'gold');

CREATE TABLE dim_date (
  date_key INTEGER PRIMARY KEY,
  day DATE NOT NULL,
  weekday VARCHAR NOT NULL,
  month_name VARCHAR NOT NULL,
  quarter INTEGER NOT NULL,
  year INTEGER NOT NULL,
  is_holiday BOOLEAN NOT NULL
);

CREATE TABLE dim_store (
  store_key INTEGER PRIMARY KEY,
  store_name VARCHAR NOT NULL,
  city VARCHAR NOT NULL,
  region VARCHAR NOT NULL,
  opened DATE NOT NULL,
  floor_area DECIMAL(6, 1),
  services VARCHAR[] NOT NULL,
  hours STRUCT(opens TIME, closes TIME)
);

CREATE TABLE dim_product (
  product_key INTEGER PRIMARY KEY,
  product_name VARCHAR NOT NULL UNIQUE,
  category VARCHAR NOT NULL,
  list_price DECIMAL(6, 2) NOT NULL,
  allergens VARCHAR[],
  nutrition STRUCT(kcal INTEGER, sugar_g DECIMAL(5, 1))
);

CREATE TABLE dim_member (
  member_key INTEGER PRIMARY KEY,
  full_name VARCHAR NOT NULL,
  level tier NOT NULL,
  joined DATE NOT NULL,
  birth_year SMALLINT,
  favourite_store INTEGER REFERENCES dim_store (store_key)
);

CREATE TABLE fact_sale (
  sale_id BIGINT PRIMARY KEY,
  date_key INTEGER NOT NULL REFERENCES dim_date (date_key),
  store_key INTEGER NOT NULL REFERENCES dim_store (store_key),
  product_key INTEGER NOT NULL,
  member_key INTEGER,
  sold_at TIMESTAMP NOT NULL,
  quantity INTEGER NOT NULL,
  unit_price DECIMAL(6, 2) NOT NULL,
  discount DECIMAL(4, 2) NOT NULL DEFAULT 0,
  payment VARCHAR NOT NULL
);

COMMENT ON TABLE fact_sale IS 'one row for each line of a till receipt';
COMMENT ON COLUMN fact_sale.member_key IS 'empty where nobody showed a loyalty card';
COMMENT ON COLUMN fact_sale.discount IS 'share of the price that was taken off, 0.10 for 10 %';
COMMENT ON COLUMN dim_store.floor_area IS 'square metres';

CREATE VIEW store_revenue AS
  SELECT s.store_key, s.store_name, s.city, SUM(f.quantity * f.unit_price * (1 - f.discount))
    AS revenue
  FROM fact_sale f JOIN dim_store s USING (store_key) GROUP BY ALL;

CREATE VIEW member_visits AS
  SELECT m.member_key, m.full_name, m.level, COUNT(DISTINCT f.date_key) AS days
  FROM dim_member m JOIN fact_sale f USING (member_key) GROUP BY ALL;
"""

_STORES: tuple[tuple, ...] = (
  ("Market Square", "Leeds", "North", "2009-04-01", "120.5", ["cafe", "wifi", "delivery"]),
  ("Station Arcade", "Leeds", "North", "2015-09-14", "48.0", ["takeaway"]),
  ("Harbour Mill", "Bristol", "South", "2011-02-20", "210.0", ["cafe", "wifi", "courses"]),
  ("Clifton Corner", "Bristol", "South", "2019-06-08", None, ["cafe"]),
  ("Cathedral Yard", "Exeter", "South", "2013-11-30", "95.2", ["cafe", "delivery"]),
  ("Quayside", "Newcastle", "North", "2017-03-17", "77.7", ["takeaway", "delivery"]),
  ("King's Parade", "Cambridge", "East", "2021-05-05", "64.0", ["cafe", "wifi"]),
  ("Airport Gate 12", "Cambridge", "East", "2023-01-09", "18.5", []),
)  # fmt: skip
# (name, category, price, allergens, kcal, sugar)
_PRODUCTS: tuple[tuple, ...] = (
  ("Sourdough Loaf", "bread", "4.20", ["gluten"], 1150, "6.0"),
  ("Rye & Caraway", "bread", "4.60", ["gluten"], 1080, "5.5"),
  ("Baguette", "bread", "1.90", ["gluten"], 620, "3.0"),
  ("Gluten-Free Loaf", "bread", "5.40", [], 980, "7.5"),
  ("Butter Croissant", "pastry", "2.10", ["gluten", "milk"], 290, "6.5"),
  ("Almond Croissant", "pastry", "2.90", ["gluten", "milk", "nuts"], 420, "19.0"),
  ("Cinnamon Bun", "pastry", "2.60", ["gluten", "milk"], 380, "24.0"),
  ("Baker's Eclair", "pastry", "3.10", ["gluten", "milk", "egg"], 330, "22.5"),
  ("Carrot Cake", "cake", "3.80", ["gluten", "egg", "nuts"], 460, "38.0"),
  ("Lemon Drizzle", "cake", "3.40", ["gluten", "egg"], 410, "35.0"),
  ("Victoria Sponge", "cake", "3.60", ["gluten", "egg", "milk"], 440, "36.5"),
  ("Flat White", "drink", "3.20", ["milk"], 120, "9.0"),
  ("Filter Coffee", "drink", "2.40", None, 5, "0.0"),
  ("Hot Chocolate", "drink", "3.50", ["milk"], 310, "32.0"),
  ("Cheese Toastie", "snack", "5.90", ["gluten", "milk"], 520, "4.0"),
  ("Vegan Sausage Roll", "snack", "3.30", ["gluten"], 340, "2.5"),
)  # fmt: skip
_FIRST = ("Amelia", "George", "Priya", "Oliver", "Isla", "Mohammed", "Freya", "Jack", "Ngozi")
_LAST = ("Taylor", "Patel", "O'Neill", "Walker", "Hughes", "Khan", "Wright", "Okafor", "Lee-Smith")
_HOLIDAYS = {(1, 1), (5, 6), (12, 25), (12, 26)}


def rows(rng: random.Random) -> dict[str, list[tuple]]:
  """The rows of each table in foreign-key order, the values in the column order of `SCHEMA`; a
  function of `rng` only.
  """
  days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=number) for number in range(366)]
  stores = [
    (number, *store, {"opens": f"{rng.choice((6, 7, 8)):02}:00:00",
                      "closes": f"{rng.choice((17, 18, 19)):02}:30:00"} if number != 8 else None)
    for number, store in enumerate(_STORES, 1)
  ]  # fmt: skip
  return {
    "dim_date": [
      (
        _key(day),
        day,
        day.strftime("%A"),
        day.strftime("%B"),
        (day.month + 2) // 3,
        day.year,
        (day.month, day.day) in _HOLIDAYS,
      )
      for day in days
    ],
    "dim_store": stores,
    "dim_product": [
      (number, name, category, price, allergens, {"kcal": kcal, "sugar_g": sugar})
      for number, (name, category, price, allergens, kcal, sugar) in enumerate(_PRODUCTS, 1)
    ],
    "dim_member": [
      (
        number,
        f"{rng.choice(_FIRST)} {rng.choice(_LAST)}",
        rng.choices(("bronze", "silver", "gold"), (6, 3, 1))[0],
        datetime.date(2021, 1, 1) + datetime.timedelta(days=rng.randrange(1200)),
        rng.randint(1948, 2006) if rng.random() < 0.7 else None,
        rng.randint(1, 7) if rng.random() < 0.8 else None,
      )
      for number in range(1, 91)
    ],
    "fact_sale": [_sale(rng, number, days) for number in range(1, 1501)],
  }


def _key(day: datetime.date) -> int:
  return day.year * 10_000 + day.month * 100 + day.day


def _sale(rng: random.Random, number: int, days: list[datetime.date]) -> tuple:
  day = rng.choice(days)
  product = min(len(_PRODUCTS) - 1, int(rng.expovariate(1 / 5)))
  sold = datetime.datetime.combine(day, datetime.time(rng.randint(7, 18), rng.randrange(60)))
  return (
    number,
    _key(day),
    rng.choices(range(1, 9), (9, 4, 7, 3, 5, 4, 6, 2))[0],
    product + 1,
    rng.randint(1, 80) if rng.random() < 0.4 else None,
    sold,
    rng.choice((1, 1, 1, 2, 2, 4, 12)),
    _PRODUCTS[product][2],
    rng.choice(("0", "0", "0", "0.10", "0.25")),
    rng.choices(("card", "cash", "voucher"), (7, 3, 1))[0],
  )
