"""Awkward demo domain `tea_shop` (SQLite): a web shop for tea that grew over the years.

Awkward are its names ("order", "order line", "E-Mail", "group"), keys of several columns and
foreign keys to them, a category that has a parent, days as text and once as 31.12.2024, NULLs,
reviews without declared keys, and views. Everything is drawn from the generator given to `rows`.
"""

from __future__ import annotations

import datetime
import random

SCHEMA: str = """
CREATE TABLE "Category" (
  "Category ID" INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  parent INTEGER REFERENCES "Category" ("Category ID") -- empty for the top of the shop
);

CREATE TABLE Product (
  sku TEXT PRIMARY KEY,
  Title TEXT NOT NULL,
  "Category ID" INTEGER NOT NULL REFERENCES "Category" ("Category ID"),
  price REAL NOT NULL, -- euros, VAT included
  weight_g INTEGER, -- grams, empty for what is not sold by weight
  Origin TEXT, -- country
  discontinued INTEGER NOT NULL DEFAULT 0 -- 1 if it is not sold any more
);

CREATE TABLE Customer (
  "CustomerID" INTEGER PRIMARY KEY,
  "FullName" TEXT NOT NULL,
  "E-Mail" TEXT,
  City TEXT,
  Country TEXT NOT NULL,
  "Birth Date" TEXT, -- as YYYY-MM-DD, few tell it
  newsletter INTEGER NOT NULL, -- 1 if they get it
  joined TEXT NOT NULL -- as YYYY-MM-DD
);

CREATE TABLE "order" (
  order_no INTEGER PRIMARY KEY,
  "CustomerID" INTEGER NOT NULL REFERENCES Customer ("CustomerID"),
  placed_on TEXT NOT NULL, -- as YYYY-MM-DD
  status TEXT NOT NULL, -- open, shipped, returned or cancelled
  "group" TEXT, -- where it came from: web, app or phone; empty in the first year
  coupon TEXT
);

CREATE TABLE "order line" (
  order_no INTEGER NOT NULL REFERENCES "order" (order_no),
  line_no INTEGER NOT NULL,
  sku TEXT NOT NULL REFERENCES Product (sku),
  qty INTEGER NOT NULL,
  unit_price REAL NOT NULL, -- euros, as it was that day
  PRIMARY KEY (order_no, line_no)
);

CREATE TABLE Warehouse (code TEXT PRIMARY KEY, Town TEXT NOT NULL, "floor space" INTEGER);

CREATE TABLE "Stock Level" (
  warehouse TEXT NOT NULL REFERENCES Warehouse (code),
  sku TEXT NOT NULL REFERENCES Product (sku),
  "on hand" INTEGER NOT NULL,
  "reorder at" INTEGER,
  PRIMARY KEY (warehouse, sku)
);

CREATE TABLE Parcel (
  order_no INTEGER NOT NULL REFERENCES "order" (order_no),
  parcel_no INTEGER NOT NULL,
  warehouse TEXT NOT NULL REFERENCES Warehouse (code),
  carrier TEXT NOT NULL,
  "Weight (kg)" REAL,
  sent TEXT NOT NULL, -- as DD.MM.YYYY
  PRIMARY KEY (order_no, parcel_no)
);

CREATE TABLE "Parcel Item" (
  order_no INTEGER NOT NULL,
  parcel_no INTEGER NOT NULL,
  line_no INTEGER NOT NULL,
  PRIMARY KEY (order_no, parcel_no, line_no),
  FOREIGN KEY (order_no, parcel_no) REFERENCES Parcel (order_no, parcel_no),
  FOREIGN KEY (order_no, line_no) REFERENCES "order line" (order_no, line_no)
);

CREATE TABLE review (
  review_id INTEGER PRIMARY KEY,
  sku TEXT NOT NULL,
  CustomerID INTEGER,
  stars INTEGER NOT NULL, -- 1 to 5
  "text" TEXT,
  written_on TEXT
);

CREATE VIEW "Open Orders" AS
  SELECT o.order_no, o.placed_on, c."FullName", c.Country
  FROM "order" o JOIN Customer c ON c."CustomerID" = o."CustomerID" WHERE o.status = 'open';

CREATE VIEW product_revenue AS
  SELECT p.sku, p.Title, SUM(l.qty * l.unit_price) AS revenue, SUM(l.qty) AS pieces
  FROM Product p JOIN "order line" l ON l.sku = p.sku GROUP BY p.sku, p.Title;
"""

# (name, parent)
_CATEGORIES = (
  ("Tea", None), ("Teaware", None), ("Gifts", None), ("Green Tea", 1), ("Black Tea", 1),
  ("Oolong", 1), ("Herbal Infusions", 1), ("Teapots", 2), ("Cups & Mugs", 2),
)  # fmt: skip

# (title, category, price, grams, origin)
_PRODUCTS = (
  ("Sencha Spring Pick", 4, 12.9, 100, "Japan"), ("Gyokuro Shade", 4, 29.5, 50, "Japan"),
  ("Dragon Well", 4, 18.0, 100, "China"), ("Gunpowder Temple", 4, 6.5, 200, "China"),
  ("Jasmine Pearls", 4, 15.4, 100, "China"), ("Matcha 'Uji'", 4, 34.0, 30, "Japan"),
  ("Assam Second Flush", 5, 9.8, 250, "India"), ("Darjeeling First Flush", 5, 21.0, 100, "India"),
  ("Ceylon Orange Pekoe", 5, 7.9, 250, "Sri Lanka"), ("Earl Grey Classic", 5, 8.5, 250, None),
  ("Lapsang Souchong", 5, 11.2, 100, "China"), ("Keemun Mao Feng", 5, 16.6, 100, "China"),
  ("Kenya Breakfast", 5, 6.9, 500, "Kenya"), ("Iron Goddess", 6, 19.9, 100, "Taiwan"),
  ("Milk Oolong", 6, 17.5, 100, "Taiwan"), ("Oriental Beauty", 6, 42.0, 50, "Taiwan"),
  ("Peppermint", 7, 4.9, 100, "Morocco"), ("Rooibos Vanilla", 7, 5.9, 250, "South Africa"),
  ("Camomile Flowers", 7, 5.2, 100, "Germany"), ("Hibiscus & Rose", 7, 6.4, 150, "Egypt"),
  ("Glass Pot 1.2 l", 8, 32.0, None, "Germany"), ("Cast-Iron Pot", 8, 79.0, None, "Japan"),
  ("Yixing Clay Pot", 8, 120.0, None, "China"), ("Mug \"Monday\"", 9, 11.0, None, "Portugal"),
  ("Double-Wall Cup", 9, 9.5, None, None), ("Sampler Box", 3, 24.0, 300, None),
  ("Gift Card 50", 3, 50.0, None, None), ("Advent Calendar", 3, 39.0, 240, None),
)  # fmt: skip
_DISCONTINUED = {"Gunpowder Temple", "Advent Calendar", "Keemun Mao Feng"}

_FIRST = (
  "Anna", "Luca", "Marie", "Jonas", "Sofia", "Emil", "Clara", "Hugo", "Ines", "Pavel", "Greta",
  "Noah", "Zoë", "Mateo", "Ida", "Tariq",
)  # fmt: skip
_LAST = (
  "Schneider", "Rossi", "Dubois", "Novak", "O'Hara", "Jansen", "Larsen", "García", "Weber",
  "Moreau", "Kowalska", "van den Berg", "Haddad", "Bianchi",
)  # fmt: skip
# (city, country, weight)
_HOMES = (
  ("Berlin", "Germany", 12), ("Hamburg", "Germany", 9), ("Vienna", "Austria", 7),
  ("Lyon", "France", 6), ("Milan", "Italy", 5), ("Rotterdam", "Netherlands", 5),
  ("Copenhagen", "Denmark", 3), (None, "Germany", 4), ("Graz", "Austria", 2),
)  # fmt: skip
_WAREHOUSES = (("HAM", "Hamburg", 1200), ("VIE", "Vienna", 650), ("LYS", "Lyon", None))
_CARRIERS = ("DHL", "DPD", "GLS", "UPS")
_TEXTS = (
  "Lovely, will buy again", "too bitter for me", "Arrived broken :(", "My mother's favourite",
  "Good value", "It's fine.", None, None,
)  # fmt: skip


def rows(rng: random.Random) -> dict[str, list[tuple]]:
  """The rows of each table in foreign-key order, the values in the column order of `SCHEMA`; a
  function of `rng` only.
  """
  products = [
    (f"{_CATEGORIES[category - 1][0][:2].upper()}-{100 + number}", title, category, price, grams,
     origin, int(title in _DISCONTINUED))
    for number, (title, category, price, grams, origin) in enumerate(_PRODUCTS)
  ]  # fmt: skip
  customers = [_customer(rng, number) for number in range(1, 141)]
  orders, lines, parcels, items = [], [], [], []
  for number in range(5001, 5301):
    buyer = customers[min(len(customers) - 1, int(rng.expovariate(1 / 35)))]
    placed = _later(rng, datetime.date(2023, 1, 2), 720)
    status = rng.choices(("shipped", "open", "returned", "cancelled"), (74, 12, 8, 6))[0]
    channel = None if placed.year == 2023 and rng.random() < 0.5 else rng.choice(_CHANNELS)
    coupon = rng.choice(("SPRING10", "FRIEND5")) if rng.random() < 0.15 else None
    orders.append((number, buyer[0], placed.isoformat(), status, channel, coupon))
    own = [
      (number, line, product[0], rng.choice((1, 1, 1, 2, 2, 3, 6)),
       round(product[3] * rng.choice((1, 1, 1, 0.9)), 2))
      for line, product in enumerate(rng.sample(products, rng.choice((1, 1, 2, 3, 4))), 1)
    ]  # fmt: skip
    lines += own
    if status in ("shipped", "returned"):
      for parcel in range(1, 2 + (len(own) > 2 and rng.random() < 0.4)):
        sent = (placed + datetime.timedelta(days=rng.randint(1, 6))).strftime("%d.%m.%Y")
        weight = round(rng.uniform(0.2, 4.5), 2) if rng.random() < 0.9 else None
        where = rng.choices(_WAREHOUSES, (6, 3, 2))[0][0]
        parcels.append((number, parcel, where, rng.choice(_CARRIERS), weight, sent))
        items += [(number, parcel, line[1]) for line in own if (line[1] % 2 == 0) == (parcel == 2)]
      items += [(number, 1, line[1]) for line in own if line[1] % 2 == 0 and parcel == 1]
  return {
    "Category": [(number, *each) for number, each in enumerate(_CATEGORIES, 1)],
    "Product": products,
    "Customer": customers,
    "order": orders,
    "order line": lines,
    "Warehouse": list(_WAREHOUSES),
    "Stock Level": [
      (code, product[0], rng.choice((0, 3, 12, 40, 85, 150)), rng.choice((10, 20, None)))
      for code, *_ in _WAREHOUSES
      for product in products
      if rng.random() < 0.8
    ],
    "Parcel": parcels,
    "Parcel Item": sorted(items),
    "review": [_review(rng, number, products, customers) for number in range(1, 181)],
  }


_CHANNELS = ("web", "web", "app", "phone")


def _later(rng: random.Random, day: datetime.date, days: int) -> datetime.date:
  return day + datetime.timedelta(days=rng.randrange(days))


def _customer(rng: random.Random, number: int) -> tuple:
  first, last = rng.choice(_FIRST), rng.choice(_LAST)
  city, country, _ = rng.choices(_HOMES, [weight for *_, weight in _HOMES])[0]
  mail = f"{first}.{last}{number}@example.org".lower().replace(" ", "") if number % 9 else None
  born = _later(rng, datetime.date(1950, 1, 1), 20_000).isoformat() if number % 3 == 0 else None
  joined = _later(rng, datetime.date(2022, 6, 1), 800).isoformat()
  return (number, f"{first} {last}", mail, city, country, born, int(rng.random() < 0.4), joined)


def _review(rng: random.Random, number: int, products: list[tuple], buyers: list[tuple]) -> tuple:
  product, buyer = rng.choice(products), rng.choice(buyers)[0] if number % 7 else None
  stars = rng.choices((5, 4, 3, 2, 1), (45, 25, 14, 9, 7))[0]
  written = _later(rng, datetime.date(2023, 1, 10), 720).isoformat() if number % 11 else None
  return (number, product[0], buyer, stars, rng.choice(_TEXTS), written)
