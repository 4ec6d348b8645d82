"""Awkward demo domain `bike_share` (PostgreSQL): a city's hire bikes and the workshop for them.

Two schemas that are not on the search path, names in mixed case, enumerations, arrays, jsonb, a
table in partitions, a generated column, comments, and views. Everything is drawn from the
generator given to `rows`.
"""

from __future__ import annotations

import datetime
import json
import random

# May SELECT, and nothing else.
READER = "bike_reader"

SCHEMA: str = """
CREATE SCHEMA bike;
CREATE SCHEMA "Workshop";
CREATE TYPE bike.kind AS ENUM ('city', 'cargo', 'electric');
CREATE TYPE bike.plan AS ENUM ('day', 'month', 'year', 'student');
CREATE TYPE "Workshop".severity AS ENUM ('minor', 'major', 'unsafe');

CREATE TABLE bike.station (
  station_id integer PRIMARY KEY,
  name varchar(60) NOT NULL UNIQUE,
  district varchar(40) NOT NULL,
  "dockCount" integer NOT NULL CHECK ("dockCount" > 0),
  opened date NOT NULL,
  features text[] NOT NULL DEFAULT '{}'
);
CREATE TABLE bike."Bike" (
  "bikeId" integer PRIMARY KEY,
  model varchar(30) NOT NULL,
  kind bike.kind NOT NULL,
  bought_on date NOT NULL,
  station_id integer REFERENCES bike.station,
  specs jsonb
);
CREATE TABLE bike.member (
  member_id integer PRIMARY KEY,
  "fullName" text NOT NULL,
  email text UNIQUE,
  plan bike.plan NOT NULL,
  joined_on date NOT NULL,
  home_station integer REFERENCES bike.station,
  languages text[]
);
CREATE TABLE bike.ride (
  ride_id bigint NOT NULL,
  started_at timestamp NOT NULL,
  ended_at timestamp NOT NULL,
  "bikeId" integer NOT NULL REFERENCES bike."Bike",
  member_id integer REFERENCES bike.member,
  from_station integer NOT NULL REFERENCES bike.station,
  to_station integer REFERENCES bike.station,
  minutes integer GENERATED ALWAYS AS (
    (extract(epoch FROM ended_at - started_at) / 60)::integer) STORED,
  fare numeric(6, 2) NOT NULL,
  PRIMARY KEY (ride_id, started_at)
) PARTITION BY RANGE (started_at);
CREATE TABLE bike.ride_2024_h1 PARTITION OF bike.ride
  FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
CREATE TABLE bike.ride_2024_h2 PARTITION OF bike.ride
  FOR VALUES FROM ('2024-07-01') TO ('2025-01-01');

CREATE TABLE "Workshop".mechanic (
  mechanic_id integer PRIMARY KEY,
  name text NOT NULL,
  hired date NOT NULL,
  certificates text[] NOT NULL
);
CREATE TABLE "Workshop"."Part" (
  part_no char(6) PRIMARY KEY,
  label text NOT NULL,
  "unitCost" numeric(7, 2) NOT NULL,
  in_stock integer NOT NULL
);
CREATE TABLE "Workshop"."Repair" (
  repair_id integer PRIMARY KEY,
  "bikeId" integer NOT NULL REFERENCES bike."Bike",
  mechanic_id integer REFERENCES "Workshop".mechanic,
  severity "Workshop".severity NOT NULL,
  reported_on date NOT NULL,
  done_on date,
  notes jsonb
);
CREATE TABLE "Workshop"."RepairPart" (
  repair_id integer REFERENCES "Workshop"."Repair",
  part_no char(6) REFERENCES "Workshop"."Part",
  amount integer NOT NULL,
  PRIMARY KEY (repair_id, part_no)
);

COMMENT ON TABLE bike.ride IS 'one hire of a bike, from one dock to the next';
COMMENT ON COLUMN bike.ride.to_station IS 'empty where the bike was left on the street';
COMMENT ON COLUMN bike.ride.member_id IS 'empty for people without an account';
COMMENT ON COLUMN bike.ride.fare IS 'euros';
COMMENT ON COLUMN bike."Bike".station_id IS 'where it stands now, empty while it is hired';
COMMENT ON COLUMN "Workshop"."Repair".done_on IS 'empty while it waits';

CREATE VIEW bike.station_departures AS
  SELECT s.station_id, s.name, count(*) AS departures
  FROM bike.station s JOIN bike.ride r ON r.from_station = s.station_id GROUP BY 1, 2;
CREATE VIEW "Workshop"."OpenRepairs" AS
  SELECT r.repair_id, b.model, r.severity, r.reported_on
  FROM "Workshop"."Repair" r JOIN bike."Bike" b USING ("bikeId") WHERE r.done_on IS NULL;
"""

_STATIONS: tuple[tuple, ...] = (
  ("Central Station", "Old Town", 40, "2018-04-01", ["covered", "charging"]),
  ("Town Hall", "Old Town", 24, "2018-04-01", []),
  ("River Bridge", "Riverside", 30, "2018-06-15", ["charging"]),
  ("St. Anne's Church", "Riverside", 12, "2019-03-02", []),
  ("University Library", "Campus", 36, "2019-09-20", ["covered", "repair stand"]),
  ("Dormitory Park", "Campus", 20, "2020-10-01", ["repair stand"]),
  ("Harbour Cranes", "Docklands", 18, "2021-05-12", ["charging"]),
  ("Fish Market", "Docklands", 16, "2021-05-12", ["covered"]),
  ("Hilltop Tower", "Heights", 10, "2022-07-30", []),
  ("Zoo Gate", "Heights", 22, "2023-04-18", ["charging", "covered"]),
)  # fmt: skip
_MODELS = (
  ("Gazelle C7", "city"), ("Urban Swift", "city"), ("Urban Arrow", "cargo"),
  ("Volt One", "electric"), ("Volt Two", "electric"),
)  # fmt: skip
_FIRST = ("Lena", "Milan", "Aylin", "Jakub", "Nora", "Felix", "Chiara", "Samuel", "Yara", "Oskar")
_LAST = ("Horvat", "D'Angelo", "Yilmaz", "Nowak", "Brandt", "Keller", "Marković", "Sørensen")
_MECHANICS: tuple[tuple, ...] = (
  ("Bruno Keller", "2018-03-01", ["brakes", "electrics"]),
  ("Hana Svoboda", "2019-01-15", ["brakes", "frames"]),
  ("Idris Bah", "2021-08-01", ["electrics"]),
  ("Petra Lind", "2024-02-01", []),
)
_PARTS = (
  ("BRK-01", "brake pad", "6.50", 140), ("BRK-02", "brake cable", "4.20", 85),
  ("TYR-01", "tyre 28 inch", "21.00", 60), ("TYR-02", "inner tube", "5.80", 210),
  ("CHN-01", "chain", "17.40", 33), ("BAT-01", "battery 400 Wh", "289.00", 9),
  ("LMP-01", "front light", "24.90", 0), ("SDL-01", "saddle", "31.50", 27),
)  # fmt: skip


def rows(rng: random.Random) -> dict[str, list[tuple]]:
  """The rows of each table, by its name as SQL writes it, in foreign-key order; the values in the
  column order of `SCHEMA` without the generated one. A function of `rng` only.
  """
  bikes = [_bike(rng, number) for number in range(1, 81)]
  repairs = [_repair(rng, number, bikes) for number in range(1, 161)]
  used = sorted({(rng.randint(1, 160), rng.choice(_PARTS)[0]) for _ in range(240)})
  return {
    "bike.station": [(number, *station) for number, station in enumerate(_STATIONS, 1)],
    'bike."Bike"': bikes,
    "bike.member": [_member(rng, number) for number in range(1, 121)],
    "bike.ride": [_ride(rng, number, bikes) for number in range(1, 1201)],
    '"Workshop".mechanic': [(number, *each) for number, each in enumerate(_MECHANICS, 1)],
    '"Workshop"."Part"': list(_PARTS),
    '"Workshop"."Repair"': repairs,
    '"Workshop"."RepairPart"': [(*each, rng.choice((1, 1, 1, 2))) for each in used],
  }


def _bike(rng: random.Random, number: int) -> tuple:
  model, kind = rng.choices(_MODELS, (30, 22, 8, 14, 10))[0]
  specs = {"gears": rng.choice((3, 7, 8)), "colour": rng.choice(("red", "green", "white"))}
  if kind == "electric":
    specs["battery_wh"] = rng.choice((400, 500))
  bought = datetime.date(2018, 3, 1) + datetime.timedelta(days=rng.randrange(2100))
  place = rng.randint(1, 10) if rng.random() < 0.85 else None
  return (number, model, kind, bought, place, json.dumps(specs) if number % 13 else None)


def _member(rng: random.Random, number: int) -> tuple:
  first, last = rng.choice(_FIRST), rng.choice(_LAST)
  return (
    number,
    f"{first} {last}",
    f"{first.lower()}{number}@example.net" if number % 8 else None,
    rng.choices(("year", "month", "student", "day"), (40, 25, 25, 10))[0],
    datetime.date(2019, 1, 1) + datetime.timedelta(days=rng.randrange(2000)),
    rng.randint(1, 10) if rng.random() < 0.8 else None,
    rng.sample(("en", "de", "it", "pl", "tr"), rng.randint(1, 3)) if number % 10 else None,
  )


def _ride(rng: random.Random, number: int, bikes: list[tuple]) -> tuple:
  start = datetime.datetime(2024, 1, 1, 6) + datetime.timedelta(minutes=rng.randrange(525_000))
  minutes = max(2, int(rng.expovariate(1 / 22)))
  return (
    number,
    start,
    start + datetime.timedelta(minutes=minutes),
    rng.choice(bikes[:-2])[0],  # The last two have just been bought.
    rng.randint(1, 110) if rng.random() < 0.85 else None,
    min(10, 1 + int(rng.expovariate(1 / 3))),
    rng.randint(1, 10) if rng.random() < 0.93 else None,
    round(1 + 0.15 * minutes, 2),
  )


def _repair(rng: random.Random, number: int, bikes: list[tuple]) -> tuple:
  reported = datetime.date(2023, 6, 1) + datetime.timedelta(days=rng.randrange(560))
  done = reported + datetime.timedelta(days=rng.randint(0, 21)) if rng.random() < 0.85 else None
  notes = {"source": rng.choice(("app", "phone", "check")), "photos": rng.randrange(4)}
  return (
    number,
    rng.choice(bikes)[0],
    rng.randint(1, 4) if done is not None or rng.random() < 0.3 else None,
    rng.choices(("minor", "major", "unsafe"), (6, 3, 1))[0],
    reported,
    done,
    json.dumps(notes) if number % 6 else None,
  )
