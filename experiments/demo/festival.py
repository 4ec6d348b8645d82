"""Demo domain `festival`: five editions of a three-day music festival on the Irish west coast.

Bands belong to one or more genres (`band_genre`, many-to-many) and play on the festival's stages;
each row of `performance` is one show with its day, start time, length, crowd and the critics'
rating. Visitors buy tickets of several kinds, and some hand them back for a refund. An edition is
known by its year: 2019, 2021, 2022, 2023 and 2024, always a weekend in August.

What the invented data keeps of real data: a few popular bands draw most of the crowd and the fees,
most visitors come from nearby and buy one or two tickets, sales peak after the line-up is
announced, some bands never played, some visitors never bought, and a show may lack a rating or a
crowd count. Everything is drawn from the generator given to `rows`.
"""

from __future__ import annotations

import datetime
import math
import random

SCHEMA: str = """
CREATE TABLE genre (
  genre_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  origin TEXT -- country where the genre comes from, empty if disputed
);

CREATE TABLE band (
  band_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  country TEXT NOT NULL,
  city TEXT NOT NULL, -- home city
  formed INTEGER NOT NULL, -- year in which the band was formed
  members INTEGER NOT NULL, -- number of musicians
  fee INTEGER, -- euros for one show, empty if it plays for free
  manager TEXT -- name of the manager, empty if the band has none
);

CREATE TABLE band_genre (
  band_id INTEGER NOT NULL REFERENCES band (band_id),
  genre_id INTEGER NOT NULL REFERENCES genre (genre_id),
  is_main INTEGER NOT NULL, -- 1 if it is the main genre of the band, else 0
  PRIMARY KEY (band_id, genre_id)
);

CREATE TABLE stage (
  stage_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  capacity INTEGER NOT NULL, -- largest allowed crowd
  covered INTEGER NOT NULL, -- 1 if the stage has a roof, else 0
  sponsor TEXT -- company that pays for the stage
);

CREATE TABLE performance (
  performance_id INTEGER PRIMARY KEY,
  band_id INTEGER NOT NULL REFERENCES band (band_id),
  stage_id INTEGER NOT NULL REFERENCES stage (stage_id),
  play_date DATE NOT NULL,
  start_time TEXT NOT NULL, -- as HH:MM
  minutes INTEGER NOT NULL, -- length of the show
  crowd INTEGER, -- number of people watching, empty if not counted
  rating REAL, -- critics' rating from 1 to 10, empty if not reviewed
  UNIQUE (stage_id, play_date, start_time)
);

CREATE TABLE visitor (
  visitor_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  city TEXT NOT NULL,
  birth_date DATE,
  email TEXT UNIQUE
);

CREATE TABLE ticket (
  ticket_id INTEGER PRIMARY KEY,
  visitor_id INTEGER NOT NULL REFERENCES visitor (visitor_id),
  kind TEXT NOT NULL, -- day, weekend, camping or VIP
  price REAL NOT NULL, -- euros
  bought_on DATE NOT NULL,
  refunded_on DATE -- day on which the money was paid back, empty if never
);
"""

# the Friday of each
_EDITIONS = ("2019-08-09", "2021-08-13", "2022-08-12", "2023-08-11", "2024-08-09")
_BAND_COUNT = 150
_VISITOR_COUNT = 700
_MANAGER_COUNT = 45
_NEVER_PLAYED = 9  # bands under contract that have not had a show yet

# (name, origin, weight)
_GENRES = (
  ("Indie Rock", "United Kingdom", 20), ("Folk", None, 16), ("Electronic", "Germany", 13),
  ("Punk", "United Kingdom", 9), ("Hip Hop", "United States", 9), ("Jazz", "United States", 7),
  ("Synth Pop", "United Kingdom", 7), ("Soul", "United States", 6), ("Metal", "United Kingdom", 6),
  ("Techno", "United States", 5), ("Blues", "United States", 4), ("Country", "United States", 4),
  ("Reggae", "Jamaica", 4), ("Irish Trad", "Ireland", 4), ("Afrobeat", "Nigeria", 3),
  ("Shoegaze", "United Kingdom", 3), ("Ska", "Jamaica", 2), ("Drum 'n' Bass", "United Kingdom", 2),
)  # fmt: skip

# (country, weight, cities from the largest share of bands to the smallest)
_COUNTRIES = (
  ("Ireland", 34, ("Dublin", "Galway", "Cork", "Limerick", "Sligo")),
  ("United Kingdom", 26, ("London", "Glasgow", "Manchester", "Belfast", "Bristol")),
  ("United States", 13, ("New York", "Nashville", "Chicago", "Seattle")),
  ("Germany", 8, ("Berlin", "Hamburg", "Leipzig")),
  ("Sweden", 6, ("Stockholm", "Malmö")),
  ("France", 5, ("Paris", "Lyon")),
  ("Netherlands", 4, ("Amsterdam", "Utrecht")),
  ("Nigeria", 3, ("Lagos",)),
  ("Iceland", 2, ("Reykjavik",)),
  ("Japan", 2, ("Tokyo", "Osaka")),
)

_NAMED_BANDS = (
  "O'Brien's Ghost", 'The "Almost" Famous', "Paper Lanterns", "Kings of Salthill",
  "The Velvet Foxes", "Rosie's Revenge", "Midnight Ferry", "Glass Cathedral", "Don't Tell Dad",
  "The Tin Whistlers", "Static Harbour", "Nora & the Northern Lights", "Cold Tea Club", '12" Remix',
  "The Peat Diggers", "Lagos Sunday Band", "Neon Shepherd", "Hello Thunder", "Sister Bernadette",
  "The Last Bus Home", "Black Kettle", "Fjord Fiesta", "Seven Sad Robots", "Wolves at Dinner",
)  # fmt: skip
_ADJECTIVES = (
  "Electric", "Silent", "Golden", "Broken", "Wild", "Little", "Crooked", "Burning", "Blue",
  "Lonely", "Hollow", "Salty", "Sleepy", "Holy", "Rusty", "Velvet", "Hungry", "Northern", "Paper",
  "Drunken",
)  # fmt: skip
_NOUNS = (
  "Rabbits", "Harbour", "Sparrows", "Machine", "Tigers", "Choir", "Mountains", "Radio", "Sailors",
  "Garden", "Kettles", "Orchestra", "Bicycles", "Saints", "Lighthouse", "Cousins", "Engine",
  "Ghosts", "Pilots", "Carnival", "Teeth",
)  # fmt: skip

# (name, capacity, covered, sponsor, start times)
_STAGES = (
  ("Main Stage", 18000, 0, "Brewer's Gold", ("15:00", "16:30", "18:00", "20:00", "22:00")),
  ("Ocean Stage", 9000, 0, "Atlantic Bank", ("14:30", "16:00", "17:30", "19:30", "21:30")),
  (
    "O'Malley Tent",
    4500,
    1,
    "Brewer's Gold",
    ("14:00", "15:30", "17:00", "19:00", "21:00", "23:00"),
  ),
  ('The "Blue" Hall', 2500, 1, "Kerry Dairy", ("13:30", "15:30", "17:30", "19:30", "21:30")),
  ("Forest Stage", 1800, 0, None, ("13:00", "15:00", "17:00", "19:00")),
  ("Old Barn", 900, 1, "Green Wheels", ("14:00", "16:00", "18:00", "20:30", "23:00")),
  ("Hill Stage", 700, 0, "Atlantic Bank", ("12:30", "14:30", "16:30", "18:30")),
  ("Poets' Corner", 250, 1, None, ("12:00", "14:00", "16:00", "18:00")),
)

_FIRST_NAMES = (
  "Aoife", "Conor", "Saoirse", "Liam", "Niamh", "Sean", "Ciara", "Patrick", "Emma", "James",
  "Sinead", "Jack", "Grace", "Daniel", "Orla", "Michael", "Sophie", "Thomas", "Maeve", "Ryan",
  "Chloe", "Declan", "Hannah", "Fergus", "Lucy", "Eoin", "Anna", "Brian", "Zoe", "Kevin", "Fatima",
  "Lukas", "Ingrid", "Pierre", "Mei", "Oluwaseun", "Marta", "Tomasz",
)  # fmt: skip
_LAST_NAMES = (
  "Murphy", "Kelly", "O'Sullivan", "Walsh", "Smith", "O'Brien", "Byrne", "Ryan", "O'Connor",
  "O'Neill", "Reilly", "Doyle", "McCarthy", "Gallagher", "Doherty", "Kennedy", "Lynch", "Murray",
  "Quinn", "Moore", "McLoughlin", "Carroll", "Connolly", "Daly", "O'Connell", "Wilson", "Dunne",
  "Brennan", "Burke", "Collins", "Campbell", "Clarke", "Johnston", "Hughes", "Farrell",
  "Fitzgerald", "D'Arcy", "Nowak", "Schmidt", "Larsson", "Adeyemi", "Dubois", "van Dijk",
)  # fmt: skip
# (city, weight)
_HOMES = (
  ("Galway", 30), ("Dublin", 27), ("Cork", 10), ("Limerick", 9), ("Sligo", 6), ("Belfast", 5),
  ("London", 5), ("Waterford", 3), ("Manchester", 2), ("Berlin", 1), ("New York", 1), ("Paris", 1),
)  # fmt: skip

# (kind, weight, price in 2019)
_KINDS = (("weekend", 46, 139), ("day", 31, 65), ("camping", 16, 179), ("VIP", 7, 320))


def rows(rng: random.Random) -> dict[str, list[tuple]]:
  """The rows of each table in foreign-key order, the values in the column order of `SCHEMA`; a
  function of `rng` only.
  """
  appeal = [min(1.0, 0.08 * rng.paretovariate(1.1)) for _ in range(_BAND_COUNT)]
  bands = _bands(rng, appeal)
  visitors = _visitors(rng)
  return {
    "genre": [(number, name, origin) for number, (name, origin, _) in enumerate(_GENRES, 1)],
    "band": bands,
    "band_genre": _band_genres(rng),
    "stage": [(number, *stage[:4]) for number, stage in enumerate(_STAGES, 1)],
    "performance": _performances(rng, bands, appeal),
    "visitor": visitors,
    "ticket": _tickets(rng),
  }


def _person(rng: random.Random) -> str:
  """A first and a last name; names early in the lists are the common ones."""
  return f"{_early(rng, _FIRST_NAMES)} {_early(rng, _LAST_NAMES)}"


def _early(rng: random.Random, words: tuple[str, ...]) -> str:
  """One of `words`, the first about four times as likely as the last."""
  return rng.choices(words, [1 / (1 + 3 * place / len(words)) for place in range(len(words))])[0]


def _bands(rng: random.Random, appeal: list[float]) -> list[tuple]:
  combined = [f"{adjective} {noun}" for adjective in _ADJECTIVES for noun in _NOUNS]
  rng.shuffle(combined)
  names = [*_NAMED_BANDS]
  for name in combined[: _BAND_COUNT - len(names)]:
    names.append(f"The {name}" if name.endswith("s") and rng.random() < 0.6 else name)
  rng.shuffle(names)
  managers = tuple(_person(rng) for _ in range(_MANAGER_COUNT))
  bands: list[tuple] = []
  for number, name in enumerate(names, 1):
    country, _, cities = rng.choices(_COUNTRIES, [weight for _, weight, _ in _COUNTRIES])[0]
    if name == "Lagos Sunday Band":
      country, cities = "Nigeria", ("Lagos",)
    formed = max(1971, 2021 - int(rng.expovariate(1 / 11)))
    members = rng.choices((1, 2, 3, 4, 5, 6, 7, 9, 12), (9, 12, 22, 30, 16, 6, 3, 1, 1))[0]
    fee: int | None = 50 * int(6 + 1900 * appeal[number - 1] ** 1.6 * rng.lognormvariate(0, 0.25))
    if appeal[number - 1] < 0.12 and rng.random() < 0.3:
      fee = None
    manager = _early(rng, managers) if rng.random() < 0.72 else None
    bands.append((number, name, country, _early(rng, cities), formed, members, fee, manager))
  return bands


def _band_genres(rng: random.Random) -> list[tuple]:
  links = []
  for band_id in range(1, _BAND_COUNT + 1):
    count = rng.choices((1, 2, 3), (40, 42, 18))[0]
    chosen: list[int] = []
    while len(chosen) < count:
      genre_id = rng.choices(range(1, len(_GENRES) + 1), [weight for _, _, weight in _GENRES])[0]
      if genre_id not in chosen:
        chosen.append(genre_id)
    links += sorted((band_id, genre_id, int(genre_id == chosen[0])) for genre_id in chosen)
  return links


def _performances(rng: random.Random, bands: list[tuple], appeal: list[float]) -> list[tuple]:
  """Fills the slots of each edition, the best stage and the latest hour with the most popular of
  the bands drawn for it.
  """
  newcomers = set(
    rng.sample(sorted(range(len(bands)), key=lambda index: appeal[index])[:70], _NEVER_PLAYED)
  )
  shows: list[tuple] = []
  for friday in _EDITIONS:
    start = datetime.date.fromisoformat(friday)
    eligible = [
      index
      for index in range(len(bands))
      if index not in newcomers and bands[index][4] < start.year
    ]
    for day in range(3):
      slots = [
        (place, hour) for place, stage in enumerate(_STAGES) for hour in range(len(stage[4]))
      ]
      # A draw without replacement (exponential races), so that no band has two shows on one day.
      races = sorted(eligible, key=lambda index: rng.expovariate(0.5 + 2 * appeal[index]))
      booked = sorted(races[: len(slots)], key=lambda index: -appeal[index] - 0.1 * rng.random())
      slots.sort(key=lambda slot: (slot[0] // 2, -slot[1], slot[0]))
      for (place, hour), index in sorted(zip(slots, booked, strict=True)):
        _, capacity, _, _, times = _STAGES[place]
        filled = 1 - math.exp(
          -1.8 * (0.2 + 0.5 * hour / len(times) + 0.4 * appeal[index]) * rng.uniform(0.6, 1.2)
        )
        crowd = int(capacity * filled) if rng.random() < 0.93 else None
        rating = (
          round(min(9.9, max(2.1, rng.gauss(6.4 + appeal[index], 1.15))), 1)
          if rng.random() < 0.82
          else None
        )
        minutes = (
          rng.choice((75, 90, 90, 120))
          if hour == len(times) - 1
          else rng.choice((30, 40, 45, 45, 60))
        )
        date = (start + datetime.timedelta(days=day)).isoformat()
        shows.append(
          (len(shows) + 1, index + 1, place + 1, date, times[hour], minutes, crowd, rating)
        )
  return shows


def _visitors(rng: random.Random) -> list[tuple]:
  visitors = []
  emails: set[str] = set()
  for number in range(1, _VISITOR_COUNT + 1):
    name = _person(rng)
    city = rng.choices([city for city, _ in _HOMES], [weight for _, weight in _HOMES])[0]
    birth_date = None
    if rng.random() < 0.88:
      age_days = int(365.25 * (17 + rng.gammavariate(2.2, 7)))
      birth_date = (datetime.date(2023, 8, 1) - datetime.timedelta(days=age_days)).isoformat()
    email = None
    if rng.random() < 0.81:
      address = name.lower().replace("'", "").replace(" ", ".")
      if f"{address}@mail.example" in emails:
        address += str(number)
      email = f"{address}@mail.example"
      emails.add(email)
    visitors.append((number, name, city, birth_date, email))
  return visitors


def _tickets(rng: random.Random) -> list[tuple]:
  tickets = []
  for visitor_id in range(1, _VISITOR_COUNT + 1):
    if rng.random() < 0.07:
      continue  # on the mailing list, never bought
    for _ in range(min(9, 1 + int(rng.expovariate(0.75)))):
      edition = rng.choices(range(len(_EDITIONS)), (14, 12, 20, 25, 29))[0]
      friday = datetime.date.fromisoformat(_EDITIONS[edition])
      kind, _, base = rng.choices(_KINDS, [weight for _, weight, _ in _KINDS])[0]
      # Half of the sales in the weeks after the line-up comes out (150 days ahead), the others up
      # to the festival.
      days = (
        int(150 - rng.expovariate(1 / 15))
        if rng.random() < 0.5
        else int(rng.triangular(1, 200, 10))
      )
      bought = friday - datetime.timedelta(days=max(1, days))
      price = round(base * (1 + 0.06 * edition) * (0.85 if days > 120 else 1.0) * 2) / 2
      refunded = None
      if rng.random() < 0.06:
        refunded = (
          bought + datetime.timedelta(days=1 + int(rng.random() * max(1, days - 1)))
        ).isoformat()
      tickets.append((visitor_id, kind, price, bought.isoformat(), refunded))
  tickets.sort(key=lambda ticket: (ticket[3], ticket[0]))  # numbered in the order of sale
  return [(number, *ticket) for number, ticket in enumerate(tickets, 1)]
