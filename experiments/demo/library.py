"""The demo database `library`: the public libraries of one city.

Fourteen branches lend books. A book has one or more authors (`book_author` is the many-to-many
link), a member belongs to one home branch but may borrow anywhere, and a book that is out can be
reserved. Loans run from 2022 to the end of 2024, the day of the snapshot: what was out then has no
return date. Popularity is skewed as in real lending records: a few books, authors, members and
branches make most of the loans, and some books and members none.

The rows come from the word lists below and from `rng.random()` and `rng.choices()` alone: the first
is promised to stay the same between Python versions, and the second is a plain function of it. The
answers to `questions/library.json` rely on that.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

_T = TypeVar("_T")

SCHEMA = """
CREATE TABLE branch (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  district TEXT NOT NULL, -- part of the city
  opened DATE NOT NULL,
  seats INTEGER NOT NULL, -- reading places
  budget INTEGER NOT NULL, -- yearly budget in euros
  phone TEXT
);
CREATE TABLE author (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  country TEXT,
  birth_year INTEGER
);
CREATE TABLE book (
  id INTEGER PRIMARY KEY,
  title TEXT NOT NULL UNIQUE,
  genre TEXT NOT NULL,
  language TEXT NOT NULL,
  year INTEGER NOT NULL, -- year of publication
  pages INTEGER,
  price REAL NOT NULL -- in euros
);
CREATE TABLE book_author (
  book_id INTEGER NOT NULL REFERENCES book (id),
  author_id INTEGER NOT NULL REFERENCES author (id),
  PRIMARY KEY (book_id, author_id)
);
CREATE TABLE member (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  district TEXT NOT NULL, -- where the member lives
  category TEXT NOT NULL, -- adult, student, child, senior or staff
  joined DATE NOT NULL,
  email TEXT,
  branch_id INTEGER NOT NULL REFERENCES branch (id) -- home branch
);
CREATE TABLE loan (
  id INTEGER PRIMARY KEY,
  member_id INTEGER NOT NULL REFERENCES member (id),
  book_id INTEGER NOT NULL REFERENCES book (id),
  branch_id INTEGER NOT NULL REFERENCES branch (id), -- where the book was borrowed
  loan_date DATE NOT NULL,
  due_date DATE NOT NULL,
  return_date DATE, -- empty while the book is out
  fine REAL -- in euros, empty when none was charged
);
CREATE TABLE reservation (
  id INTEGER PRIMARY KEY,
  member_id INTEGER NOT NULL REFERENCES member (id),
  book_id INTEGER NOT NULL REFERENCES book (id),
  reserved_on DATE NOT NULL,
  status TEXT NOT NULL -- waiting, ready, collected, cancelled or expired
);
"""

NUM_AUTHORS = 150
NUM_BOOKS = 320
NUM_MEMBERS = 360
NUM_LOANS = 1700
NUM_RESERVATIONS = 340
FIRST_LOAN = datetime.date(2022, 1, 3)
LAST_DAY = datetime.date(2024, 12, 31)

# name, district, opened, seats, budget, phone, share of the members
BRANCHES = (
  ("Central Library", "Old Town", "1904-05-12", 420, 1850000, "555-0100", 24),
  ("Harbour Library", "Harbour", "1931-09-01", 130, 540000, "555-0112", 11),
  ("St Mary's Reading Room", "St Mary's", "1926-03-15", 60, 215000, None, 6),
  ('The "Blue" Hall', "Riverside", "1968-10-04", 150, 610000, "555-0131", 10),
  ("O'Connell Street Library", "Old Town", "1957-06-20", 95, 380000, "555-0104", 8),
  ("Riverside Library", "Riverside", "1989-04-08", 110, 455000, "555-0133", 8),
  ("Oakfield Library", "Oakfield", "1974-02-18", 85, 320000, "555-0147", 8),
  ("Northgate Library", "North End", "1999-11-27", 140, 590000, "555-0158", 9),
  ("Mill Lane Library", "Mill Lane", "1962-01-16", 55, 190000, None, 4),
  ("Greenhill Library", "Greenhill", "2006-08-30", 75, 275000, "555-0162", 5),
  ("Castle Library", "Castle Hill", "1948-07-03", 70, 260000, "555-0176", 4),
  ("Eastfield Library", "Eastfield", "2012-05-05", 120, 470000, "555-0181", 7),
  ("University Annex", "Castle Hill", "2017-10-02", 200, 495000, "555-0179", 5),
  # lends only: nobody's home branch
  ("Station Kiosk", "Harbour", "2021-03-22", 12, 98000, None, 0),
)

# country: weight, language, first names, last names
COUNTRIES = {
  "United Kingdom": (
    26,
    "English",
    "Alice Henry Charlotte George Margaret Edward Rosemary Philip",
    "Hartley Ashdown Langford Thorne Kerr",
  ),
  "Ireland": (
    15,
    "English",
    "Maeve Declan Siobhan Cormac Niamh Fergus",
    "O'Brien O'Hara Gallagher Quinn Brennan O'Dowd Keane",
  ),
  "United States": (
    18,
    "English",
    "Walter Grace Raymond Dorothy Calvin Joan",
    "Mercer Hollis Whitaker Dunn Prescott Tate",
  ),
  "France": (
    13,
    "French",
    "Camille Luc Odile Bernard Simone Julien",
    "Moreau Lefebvre Girard D'Aubigny Fournier Rousselet",
  ),
  "Germany": (
    10,
    "German",
    "Klaus Ingrid Matthias Greta Dieter",
    "Vogel Hartmann Brandt Keller Lindner",
  ),
  "Italy": (8, "Italian", "Paolo Chiara Enzo Lucia", "D'Amico Ferrara Bellini Rinaldi"),
  "Spain": (7, "Spanish", "Javier Carmen Rafael Pilar", "Ortega Morales Castillo Iglesias"),
  "Poland": (6, "Polish", "Agnieszka Marek Zofia Tomasz", "Nowak Mazur Sobczak Wrona"),
  "Nigeria": (5, "English", "Chidi Ngozi Emeka Adaeze", "Okafor Balogun Eze Adeyemi"),
  "Japan": (5, "English", "Haruki Yumi Kenji Aiko", "Tanaka Mori Fujita Sakamoto"),
}

# genre: weight, fewest and most pages, price of a thin copy
GENRES = {
  "Fiction": (24, 180, 640, 11),
  "Crime": (17, 220, 480, 9),
  "Children": (14, 24, 160, 7),
  "Fantasy": (10, 320, 980, 13),
  "Science Fiction": (8, 210, 620, 11),
  "History": (9, 260, 870, 19),
  "Biography": (7, 190, 720, 16),
  "Cooking": (6, 96, 320, 18),
  "Travel": (5, 120, 410, 14),
  "Poetry": (4, 48, 180, 8),
  "Science": (6, 160, 540, 21),
}

# genre: how its titles begin, how they end
TITLES = {
  "Fiction": (
    (
      "The House on|A Summer near|Letters from|The Widow of|Return to|The Bakers of|Winter "
      "at|Three Sisters of|Goodbye to"
    ),
    (
      'Orchard Road|Lisbon|the Salt Coast|Fisher\'s Row|Ballymore|the Hotel "Aurora"|Elm '
      "Street|Marseille|the Quiet Valley"
    ),
  ),
  "Crime": (
    (
      "Murder at|Death in|A Body at|The Last Train to|Blood on|Shadows over|The Butcher of|No "
      "Alibi for|The Silence of"
    ),
    (
      "Harbour Street|O'Malley's Bar|Blackwater|the Opera|the \"Golden\" Lion|Pier Nine|St "
      "Anne's|Cologne|the Old Mill"
    ),
  ),
  "Children": (
    (
      "The Little Fox and|Grandma and|The Bear Who Found|Milo and|Princess Tilly and|Ten Tiny Mice "
      "and|The Brave Snail and"
    ),
    (
      "the Lost Mitten|the Moon Boat|the Noisy Dragon|the Garden Gate|the Snow Train|Pancake "
      "Day|the Giant's Hat"
    ),
  ),
  "Fantasy": (
    "The Crown of|A Song for|The Dragon of|Daughter of|The Last Mage of|Heirs of|The Gates of",
    "Ash and Iron|Winterfall|the Hollow Sea|Thornwood|Seven Moons|the Glass Tower|Embermoor",
  ),
  "Science Fiction": (
    "Signals from|The Engineers of|Exile on|Beyond|The Gardens of|A Clock for",
    "Titan|Station Twelve|the Red Desert|Proxima|the Silent Ring|Europa",
  ),
  "History": (
    (
      "A Short History of|The Merchants of|The Fall of|Daily Life in|Kings and Rebels of|The Women "
      "of"
    ),
    "Venice|the Hanseatic League|Carthage|Medieval Dublin|the Silk Road|Prussia|Byzantium",
  ),
  "Biography": (
    "The Life of|Remembering|In the Footsteps of|A Portrait of",
    (
      "Ada Lovelace|Marie Curie|Daniel O'Connell|Frida Kahlo|Nikola Tesla|Rosalind Franklin|Jeanne "
      "d'Arc"
    ),
  ),
  "Cooking": (
    "Simple Suppers from|The Kitchens of|Baking in|Soups and Stews of|A Year in",
    "Tuscany|Brittany|Aunt Rosa's Kitchen|the Baltic|Old Bombay|Nonna's House",
  ),
  "Travel": (
    "Walking|By Train through|A Guide to",
    "Patagonia|the Alps|Connemara|Sicily|the Black Forest|Japan",
  ),
  "Poetry": (
    "Songs of|Verses for|Small Hymns to|Notes on",
    'Rain|My Father\'s Garden|the Tide|"Home"|September',
  ),
  "Science": (
    "Understanding|The Hidden World of|The Story of|A Beginner's Guide to",
    "Fungi|Black Holes|Bees|Numbers|the Brain|Volcanoes|DNA",
  ),
}

FIRST_NAMES = (
  "Anna Thomas Maria John Sophie Patrick Emma Daniel Laura Michael Julia Peter Clara David Nora "
  "Martin Helen Robert Eva Paul Irene Simon Amira Kevin Lena Omar Teresa Victor Hannah Samuel "
  "Priya Andrew Fatima Leo Ruth Jonas Elena Frank Mei Oscar"
)
LAST_NAMES = (
  "Murphy Smith O'Brien Kelly Jones Walsh Byrne Taylor O'Neill Ryan Schmidt Evans Doyle Clarke "
  "Novak D'Souza Hughes Rossi Lynch Khan Moore Santos Nolan Patel Dubois Burke O'Connor Wright "
  "Silva Hassan Reilly Cooper Chen Larsen Power Kowalski Bell"
)
CATEGORIES = {"adult": 48, "student": 20, "child": 16, "senior": 12, "staff": 4}
LOAN_DAYS = {"adult": 21, "student": 28, "child": 21, "senior": 28, "staff": 42}
STATUSES = {"collected": 52, "cancelled": 15, "expired": 14, "waiting": 12, "ready": 7}
MAIL_HOSTS = {"mail.example": 5, "post.example": 3, "campus.example": 2}


def rows(rng: random.Random) -> dict[str, list[tuple]]:
  """The rows of each table in the order of its columns, tables in foreign-key order; the same for
  the same `rng` state.
  """
  authors, homes = _authors(rng)
  books, links = _books(rng, authors, homes)
  members = _members(rng)
  book_weights = _activity(rng, len(books))
  return {
    "branch": [(i, *branch[:-1]) for i, branch in enumerate(BRANCHES, 1)],
    "author": authors,
    "book": books,
    "book_author": links,
    "member": members,
    "loan": _loans(rng, books, book_weights, members),
    "reservation": _reservations(rng, books, book_weights, members),
  }


def _draw(rng: random.Random, weights: Mapping[_T, float]) -> _T:
  """A key of the mapping `weights`, drawn by weight."""
  return rng.choices(list(weights), list(weights.values()))[0]


def _pick(rng: random.Random, items: Sequence[_T]) -> _T:
  """An element of the sequence `items`, all equally likely."""
  return items[int(rng.random() * len(items))]


def _between(rng: random.Random, low: int, high: int) -> int:
  """A whole number from low to high, both included."""
  return low + int(rng.random() * (high - low + 1))


def _authors(rng: random.Random) -> tuple[list[tuple], list[str]]:
  """Author rows, and the genre each of them mostly writes."""
  country_weights = {country: entry[0] for country, entry in COUNTRIES.items()}
  genre_weights = {genre: entry[0] for genre, entry in GENRES.items()}
  authors: list[tuple] = []
  homes: list[str] = []
  seen: set[str] = set()
  while len(authors) < NUM_AUTHORS:
    country = _draw(rng, country_weights)
    _, _, firsts, lasts = COUNTRIES[country]
    name = f"{_pick(rng, firsts.split())} {_pick(rng, lasts.split())}"
    if name in seen:
      continue
    seen.add(name)
    born = 1990 - int(rng.random() * rng.random() * 110)
    known_country = country if rng.random() > 0.08 else None
    authors.append((len(authors) + 1, name, known_country, born if rng.random() > 0.15 else None))
    homes.append(_draw(rng, genre_weights))
  return authors, homes


def _books(
  rng: random.Random, authors: list[tuple], homes: list[str]
) -> tuple[list[tuple], list[tuple]]:
  """Book rows and book-author links. The first authors write most: weights fall as 1 / (rank +
  8).
  """
  genre_weights = {genre: entry[0] for genre, entry in GENRES.items()}
  language_of = {country: entry[1] for country, entry in COUNTRIES.items()}
  writers = authors[: NUM_AUTHORS - 6]  # the last six have no book in the catalogue
  books: list[tuple] = []
  links: list[tuple] = []
  seen: set[str] = set()
  while len(books) < NUM_BOOKS:
    genre = _draw(rng, genre_weights)
    _, fewest, most, base_price = GENRES[genre]
    starts, ends = TITLES[genre]
    title = f"{_pick(rng, starts.split('|'))} {_pick(rng, ends.split('|'))}"
    if title in seen:
      continue
    seen.add(title)
    book_id = len(books) + 1
    weights = [
      (12 if home == genre else 1) / (i + 8) for i, home in enumerate(homes[: len(writers)])
    ]
    chosen = []
    for _ in range(rng.choices((1, 2, 3), (82, 14, 4))[0]):
      author = rng.choices(writers, weights)[0]
      if author[0] not in chosen:
        chosen.append(author[0])
    links += [(book_id, author_id) for author_id in sorted(chosen)]
    _, _, country, born = authors[chosen[0] - 1]
    native = language_of.get(country, "English")
    language = native if rng.random() < 0.5 else "English"
    earliest = max(1950, (born or 1940) + 24)
    year = 2024 - int(rng.random() * rng.random() * (2024 - earliest))
    pages = _between(rng, fewest, most)
    price = base_price + pages // 60 + _pick(rng, (0.5, 0.9, 0.95, 0.99))
    books.append(
      (
        book_id,
        title,
        genre,
        language,
        year,
        pages if rng.random() > 0.06 else None,
        round(price, 2),
      )
    )
  return books, links


def _members(rng: random.Random) -> list[tuple]:
  """Member rows, in the order in which they joined."""
  branch_weights = {i: branch[-1] for i, branch in enumerate(BRANCHES, 1)}
  districts = [branch[1] for branch in BRANCHES]
  days = (LAST_DAY - datetime.date(2012, 1, 2)).days
  joined = sorted(
    LAST_DAY - datetime.timedelta(days=int(rng.random() * days)) for _ in range(NUM_MEMBERS)
  )
  members: list[tuple] = []
  seen: set[str] = set()
  while len(members) < NUM_MEMBERS:
    first, last = _pick(rng, FIRST_NAMES.split()), _pick(rng, LAST_NAMES.split())
    name = f"{first} {last}"
    if name in seen:
      continue
    seen.add(name)
    branch_id = _draw(rng, branch_weights)
    # The central library draws members from the whole city, the others mostly from around the
    # corner.
    district = (
      districts[branch_id - 1]
      if rng.random() < (0.4 if branch_id == 1 else 0.85)
      else _pick(rng, districts)
    )
    category = _draw(rng, CATEGORIES)
    day = joined[len(members)].isoformat()
    # Who joined as a child before 2014 has grown up, and the annex is on the campus.
    if (category == "child" and day < "2014") or (branch_id == 13 and rng.random() < 0.7):
      category = "student"
    email = f"{first}.{last}@{_draw(rng, MAIL_HOSTS)}".lower().replace("'", "")
    has_email = rng.random() > (0.6 if category in ("child", "senior") else 0.12)
    members.append(
      (len(members) + 1, name, district, category, day, email if has_email else None, branch_id)
    )
  return members


def _activity(rng: random.Random, count: int) -> list[float]:
  """Weights for `count` members or books: most small, a few large, about one in eight zero."""
  return [0.0 if rng.random() < 0.125 else 1 / (0.03 + rng.random()) for _ in range(count)]


def _loans(
  rng: random.Random, books: list[tuple], book_weights: list[float], members: list[tuple]
) -> list[tuple]:
  """Loan rows in the order of their dates, so that the ids rise with time."""
  member_weights = _activity(rng, len(members))
  span = (LAST_DAY - FIRST_LOAN).days
  loans: list[tuple] = []
  while len(loans) < NUM_LOANS:
    member = rng.choices(members, member_weights)[0]
    book = rng.choices(books, book_weights)[0]
    day = FIRST_LOAN + datetime.timedelta(days=int(rng.random() * span))
    if day.weekday() == 6:
      day -= datetime.timedelta(days=1)  # closed on Sundays
    if (
      day.isoformat() < member[4]
      or day.year < book[4]
      or (member[3] == "child" and book[2] == "Crime")
    ):
      continue
    branch_id = (
      member[6] if rng.random() < 0.8 else rng.choices((1, 2, 4, 8, 14), (5, 2, 2, 2, 4))[0]
    )
    due = day + datetime.timedelta(days=LOAN_DAYS[member[3]])
    late = _between(rng, 1, 40) if rng.random() < 0.17 else -_between(rng, 0, 18)
    returned = due + datetime.timedelta(days=late)
    lost = rng.random() < 0.015
    out = lost or returned > LAST_DAY
    # Children and staff pay nothing; a book that is still out has not been charged yet.
    charged = late > 0 and not out and member[3] not in ("child", "staff")
    loans.append(
      (
        member[0],
        book[0],
        branch_id,
        day.isoformat(),
        due.isoformat(),
        None if out else returned.isoformat(),
        round(late * 0.25, 2) if charged else None,
      )
    )
  loans.sort(key=lambda loan: loan[3])
  return [(i, *loan) for i, loan in enumerate(loans, 1)]


def _reservations(
  rng: random.Random, books: list[tuple], book_weights: list[float], members: list[tuple]
) -> list[tuple]:
  """Reservation rows in the order of their dates. Only recent ones are still waiting or ready."""
  member_weights = _activity(rng, len(members))
  reservations: list[tuple] = []
  while len(reservations) < NUM_RESERVATIONS:
    member = rng.choices(members, member_weights)[0]
    book = rng.choices(books, book_weights)[0]
    day = LAST_DAY - datetime.timedelta(days=int(rng.random() * rng.random() * 1090))
    status = _draw(rng, STATUSES)
    if status in ("waiting", "ready"):
      day = LAST_DAY - datetime.timedelta(days=_between(rng, 0, 75))
    if day.isoformat() < member[4] or day.year < book[4]:
      continue
    reservations.append((member[0], book[0], day.isoformat(), status))
  reservations.sort(key=lambda reservation: reservation[2])
  return [(i, *reservation) for i, reservation in enumerate(reservations, 1)]
