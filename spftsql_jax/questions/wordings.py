"""Tables of the ways to word each construct, and of the verbs and prepositions that go with a noun.

General English only: nothing here is taken from, or specific to, one database or benchmark.
"""

# ruff: noqa: SIM905  (word lists read best as words)
from __future__ import annotations

COMMANDS = (
  ("Show", 10), ("List", 10), ("Find", 9), ("Give me", 7), ("Return", 6), ("Give", 4), ("Show me", 5), ("Tell me", 5),
  ("Get", 4),
  ("Display", 2), ("Find out", 1), ("Please list", 2), ("Please show", 1), ("Report", 1), ("Retrieve", 1), ("Provide", 1),
  ("Look up", 1), ("Select", 1), ("Please give me", 1), ("Get me", 1), ("Please find", 1), ("Fetch", 1),
)  # fmt: skip
INDIRECT = (
  ("I'd like to see {0}.", 3), ("Can you tell me {0}?", 4), ("I need {0}.", 3), ("We want to know {0}.", 2),
  ("I want to know {0}.", 2),
  ("Could you show me {0}?", 3), ("I would like to know {0}.", 2), ("Can you list {0}?", 3), ("Can you give me {0}?", 2),
  ("Could you find {0}?", 1), ("I am looking for {0}.", 2), ("I'm interested in {0}.", 1), ("Let me see {0}.", 1),
  ("We need {0}.", 1),
  ("Please tell me {0}.", 2), ("I want {0}.", 1), ("Do you know {0}?", 1), ("Any idea what {be} {0}?", 1),
  ("I want to see {0}.", 1),
)  # fmt: skip

COUNT_NOUNS = ("the number of", "the count of", "the total number of", "the number of")
DISTINCT_WORDS = ("different", "distinct", "unique")

MORE = (("more than", 8), ("over", 4), ("above", 4), ("greater than", 4), ("higher than", 3), ("larger than", 1),
("exceeding", 1), ("bigger than", 1))  # fmt: skip
LESS = (("less than", 7), ("under", 4), ("below", 5), ("lower than", 4), ("smaller than", 1))
AT_LEAST = (
  ("at least", 8),
  ("no less than", 2),
  ("greater than or equal to", 2),
  ("not below", 1),
  ("{0} or more", 4),
  ("{0} or higher", 1),
)
AT_MOST = (
  ("at most", 7),
  ("no more than", 4),
  ("less than or equal to", 2),
  ("not above", 1),
  ("{0} or less", 3),
  ("up to", 2),
)
MORE_COUNT = (("more than", 10), ("over", 3))
LESS_COUNT = (("fewer than", 7), ("less than", 6), ("under", 1))
AT_LEAST_COUNT = (("at least", 9), ("no fewer than", 1), ("{0} or more", 5), ("a minimum of", 1))
AT_MOST_COUNT = (("at most", 7), ("no more than", 4), ("up to", 1), ("{0} or fewer", 2))
EXACTLY = (("exactly", 8), ("", 2), ("just", 1))
AFTER = (("after", 10), ("later than", 3))
BEFORE = (("before", 10), ("earlier than", 3), ("prior to", 1))
SINCE = (
  ("on or after", 5),
  ("since", 5),
  ("no earlier than", 2),
  ("from {0} on", 2),
  ("from {0} onwards", 1),
)
UNTIL = (("on or before", 5), ("until", 2), ("no later than", 4), ("up to", 2))

# What a thing can be compared by, said of the thing: tag -> (more, less).
THING_COMPARATIVES = {
  "age": ("older", "younger"), "height": ("taller", "shorter"), "weight": ("heavier", "lighter"),
  "duration": ("longer", "shorter"),
  "speed": ("faster", "slower"), "price": ("more expensive", "cheaper"),
}  # fmt: skip
# The superlatives of a column's noun: tag -> (highest, lowest).
NOUN_SUPERLATIVES = {
  "age": (("highest", "greatest"), ("lowest",)), "price": (("highest",), ("lowest",)),
  "pay": (("highest", "biggest"), ("lowest", "smallest")),
  "money": (("highest", "largest", "biggest"), ("lowest", "smallest")), "duration": (("longest",), ("shortest",)),
  "length": (("longest", "greatest"), ("shortest", "smallest")), "height": (("greatest", "highest"), ("lowest", "smallest")),
  "weight": (("greatest", "highest", "largest"), ("lowest", "smallest")),
  "size": (("largest", "biggest", "highest"), ("smallest", "lowest")),
  "speed": (("highest", "fastest"), ("lowest", "slowest")), "rating": (("highest", "best"), ("lowest", "worst")),
  "date": (("latest", "most recent"), ("earliest",)), "year": (("latest", "most recent"), ("earliest",)),
  "count": (("largest", "highest", "greatest"), ("smallest", "lowest")),
  "": (("highest", "largest", "greatest", "biggest"), ("lowest", "smallest")),
}  # fmt: skip
# The superlatives said of the thing itself: tag -> (highest, lowest).
THING_SUPERLATIVES = {
  "age": ("oldest", "youngest"), "price": ("most expensive", "cheapest"), "pay": ("highest-paid", "lowest-paid"),
  "height": ("tallest", "shortest"),
  "weight": ("heaviest", "lightest"), "duration": ("longest", "shortest"), "speed": ("fastest", "slowest"),
  "birth": ("youngest", "oldest"),
  "rating": ("highest-rated", "lowest-rated"), "date": ("most recent", "earliest"), "year": ("newest", "oldest"),
}  # fmt: skip

ASCENDING = (
  "in ascending order",
  "from lowest to highest",
  "in increasing order",
  "ascending",
  "from low to high",
  "from smallest to largest",
)
DESCENDING = (
  "in descending order",
  "from highest to lowest",
  "in decreasing order",
  "descending",
  "from high to low",
  "from largest to smallest",
)
ASCENDING_TEXT = (
  "in alphabetical order",
  "alphabetically",
  "in ascending order",
  "from A to Z",
  "ascending",
)
DESCENDING_TEXT = (
  "in reverse alphabetical order",
  "in descending alphabetical order",
  "from Z to A",
  "in descending order",
)
ASCENDING_DATE = (
  "from earliest to latest",
  "in chronological order",
  "oldest first",
  "in ascending order",
  "earliest first",
  "from oldest to newest",
)
DESCENDING_DATE = (
  "from latest to earliest",
  "most recent first",
  "latest first",
  "newest first",
  "in descending order",
  "in reverse chronological order",
)
SORTED = ("sorted by", "ordered by", "in order of", "sorted on", "arranged by", "ranked by")
EACH = ("for each", "for every", "per", "by", "for each", "in each", "grouped by", "broken down by")

AVERAGE = ("average", "mean", "average", "average")
MAXIMUM = ("maximum", "highest", "largest", "max")
MINIMUM = ("minimum", "lowest", "smallest", "min")
EXTREMES = (
  ("maximum", "minimum"),
  ("highest", "lowest"),
  ("largest", "smallest"),
  ("max", "min"),
  ("greatest", "smallest"),
)
TOTAL = ("total", "total", "total", "combined", "sum of the", "sum of the")

# What the first word of a key's name says of the way to its row.
DIRECTIONS = {
  "destination": "to",
  "arrival": "to",
  "target": "to",
  "source": "from",
  "origin": "from",
  "departure": "from",
}
# Prepositions towards a parent row, by the last word of its noun.
PLACES = frozenset(
  """city country room hall venue station airport department building store shop branch hospital clinic school university
  college library museum gallery stadium theater theatre cinema hotel restaurant office warehouse factory district
  county state region province town village campus neighborhood location stage floor ward market farm park area
  continent section league division team club list playlist dorm dormitory apartment house""".split()
)
MAKERS = frozenset(
  """author writer artist director producer composer manufacturer maker publisher painter designer developer builder singer
  musician band performer photographer architect supplier""".split()
)
# Groups that have their rows: "how many books does each genre have?", but not "does each gender
# have?".
HOLDERS = frozenset(
  "department category genre class group course series brand company organization manufacturer maker family subject".split()
)
EVENTS = frozenset(
  """season year festival event tournament competition race concert semester term conference show
  exhibition game match""".split()
)

# Event tables between a doer and a thing:
# noun of the event -> (what the doer did to the thing, what was done to it, participle, base form).
EVENT_VERBS = {
  "loan": ("borrowed", "borrowed by", "borrowed", "borrow"), "rental": ("rented", "rented by", "rented", "rent"),
  "reservation": ("reserved", "reserved by", "reserved", "reserve"), "booking": ("booked", "booked by", "booked", "book"),
  "purchase": ("bought", "bought by", "bought", "buy"), "order": ("ordered", "ordered by", "ordered", "order"),
  "review": ("reviewed", "reviewed by", "reviewed", "review"),
  "rating": ("rated", "rated by", "rated", "rate"), "visit": ("visited", "visited by", "visited", "visit"),
  "checkout": ("checked out", "checked out by", "checked out", "check out"),
  "subscription": ("subscribed to", "subscribed to by", "subscribed to", "subscribe to"),
  "enrollment": ("enrolled in", "taken by", "taken", "enroll in"),
  "enrolment": ("enrolled in", "taken by", "taken", "enroll in"),
  "registration": ("registered for", "taken by", "taken", "register for"),
  "attendance": ("attended", "attended by", "attended", "attend"),
  "inspection": ("inspected", "inspected by", "inspected", "inspect"),
  "adoption": ("adopted", "adopted by", "adopted", "adopt"), "like": ("liked", "liked by", "liked", "like"),
  "application": ("applied for", "applied for by", "applied for", "apply for"),
}  # fmt: skip
# Makers and what they make: noun of the maker -> (past, participle, base form).
MAKER_VERBS = {
  "author": ("wrote", "written", "write"), "writer": ("wrote", "written", "write"),
  "director": ("directed", "directed", "direct"),
  "producer": ("produced", "produced", "produce"), "composer": ("composed", "composed", "compose"),
  "manufacturer": ("made", "made", "make"),
  "maker": ("made", "made", "make"), "publisher": ("published", "published", "publish"),
  "painter": ("painted", "painted", "paint"),
  "designer": ("designed", "designed", "design"), "developer": ("developed", "developed", "develop"),
  "builder": ("built", "built", "build"),
  "architect": ("designed", "designed", "design"), "photographer": ("took", "taken", "take"),
}  # fmt: skip
WORKS = frozenset(
  """song album track concert performance show record recording single painting artwork sculpture book article paper film
  movie photo video poem play musical episode invoice exhibition exhibit product item part shipment""".split()
)
SHOWS = frozenset(
  "performance concert show exhibition race match game event competition party wedding election screening".split()
)
MEETINGS = frozenset(
  "visit appointment consultation session lesson meeting interview checkup".split()
)
WORKERS = frozenset(
  """doctor physician nurse employee worker staff teacher instructor professor lecturer clerk engineer technician manager
  librarian driver officer""".split()
)

# What people do with a thing they own or make: noun of the thing -> (past, participle, base form).
DEEDS = {
  "order": ("placed", "placed", "place"), "purchase": ("made", "made", "make"), "payment": ("made", "made", "make"),
  "donation": ("made", "made", "make"), "booking": ("made", "made", "make"), "reservation": ("made", "made", "make"),
  "review": ("wrote", "written", "write"), "comment": ("wrote", "written", "write"), "article": ("wrote", "written", "write"),
  "visit": ("had", "had", "have"), "appointment": ("had", "had", "have"), "loan": ("had", "had", "have"),
  "ticket": ("bought", "bought", "buy"),
  "award": ("won", "won", "win"),
  "prize": ("won", "won", "win"), "medal": ("won", "won", "win"),
  "performance": ("gave", "given", "give"), "complaint": ("filed", "filed", "file"), "claim": ("filed", "filed", "file"),
  "rating": ("gave", "given", "give"), "rental": ("made", "made", "make"), "transaction": ("made", "made", "make"),
}  # fmt: skip

NUMBER_WORDS = (
  "zero",
  "one",
  "two",
  "three",
  "four",
  "five",
  "six",
  "seven",
  "eight",
  "nine",
  "ten",
  "eleven",
  "twelve",
)
ORDINALS = (
  "",
  "first",
  "second",
  "third",
  "fourth",
  "fifth",
  "sixth",
  "seventh",
  "eighth",
  "ninth",
  "tenth",
)
MONTHS = (
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
)
