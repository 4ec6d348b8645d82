"""Tables of English words that naming reads: abbreviations, synonyms, kinds of things and of
attributes.

General English only: nothing here is taken from, or specific to, one database or benchmark.
"""

# ruff: noqa: SIM905  (word lists read best as words)
from __future__ import annotations

ABBREVIATIONS = {
  "abbr": "abbreviation", "abbrev": "abbreviation", "acc": "account", "acct": "account", "addr": "address", "alt": "altitude",
  "amt": "amount", "apt": "apartment", "appt": "appointment", "apps": "appearances", "asst": "assistant", "attr": "attribute",
  "auth": "author",
  "avg": "average", "bal": "balance",
  "bdate": "birth date", "bldg": "building", "cal": "calendar", "char": "character", "cnt": "count",
  "comp": "company", "cred": "credits", "cust": "customer", "dept": "department", "desc": "description",
  "descr": "description", "dest": "destination", "dir": "director", "div": "division", "dob": "date of birth",
  "dst": "destination", "dt": "date", "emp": "employee", "enr": "enrollment", "eval": "evaluation", "fname": "first name",
  "fax": "fax", "freq": "frequency", "gpa": "GPA", "gdp": "GDP", "gnp": "GNP", "hr": "hour", "hrs": "hours",
  "hq": "headquarters",
  "id": "id", "ids": "ids", "img": "image", "indep": "independence",
  "init": "initial", "inst": "institution", "instr": "instructor", "inv": "invoice",
  "iata": "IATA code",
  "icao": "ICAO code", "ip": "IP", "isbn": "ISBN",
  "lat": "latitude", "lname": "last name", "lng": "longitude", "loc": "location",
  "lon": "longitude", "manuf": "manufacturer", "max": "max", "mgr": "manager", "min": "min", "mins": "minutes",
  "msg": "message",
  "nbr": "number", "num": "number", "no": "number", "org": "organization", "orig": "origin", "pct": "percentage",
  "perc": "percentage",
  "percent": "percentage", "ph": "phone", "pos": "position", "pop": "population", "prereq": "prerequisite", "prod": "product",
  "prof": "professor", "proj": "project", "pts": "points", "pwd": "password", "qty": "quantity", "rec": "record",
  "reg": "registration",
  "rel": "release", "req": "required", "sal": "salary", "sec": "section", "src": "source", "ssn": "SSN", "std": "standard",
  "stu": "student", "tel": "phone number", "temp": "temperature", "tot": "total", "tran": "transaction", "trans": "transaction",
  "txn": "transaction", "univ": "university", "uid": "user id", "url": "URL", "usr": "user", "val": "value", "veh": "vehicle",
  "vol": "volume", "wt": "weight", "yr": "year", "yn": "flag", "zip": "zip code", "postcode": "postcode", "%": "percentage",
  "mpg": "MPG", "usd": "USD", "vat": "VAT", "vip": "VIP",
  "wl": "win-loss record", "ceo": "CEO", "cpu": "CPU", "dna": "DNA", "tv": "TV", "sms": "SMS",
  "pdf": "PDF", "iso": "ISO", "mph": "mph", "hp": "horsepower", "ticketno": "ticket number", "sku": "SKU", "pin": "PIN",
  "gps": "GPS",
  "kb": "KB", "mb": "MB", "gb": "GB", "tb": "TB", "kib": "KiB", "mib": "MiB", "gib": "GiB", "tib": "TiB",
  "khz": "kHz", "mhz": "MHz", "ghz": "GHz", "kwh": "kWh", "ram": "RAM", "rom": "ROM",
  "jan": "January", "feb": "February", "apr": "April", "jul": "July", "aug": "August", "sep": "September", "oct": "October",
  "nov": "November", "dec": "December",
  "uk": "UK", "us": "US", "usa": "USA", "eu": "EU", "hh": "household", "ht": "height",
}  # fmt: skip

AGGREGATE_PREFIXES = {"avg": "average", "min": "minimum", "max": "maximum", "tot": "total"}

LEXICON = frozenset(
  """account activity actor address age airline airport album amount area artist author average balance base bath bed bill
  birth birthday block board body book branch brand budget building bus business call campus capacity card case
  category check city class client club code color colour comment company contact contract cost count country county
  course create created credit customer cut date day debit degree delivery department description destination detail
  device dim director distance doctor duration elevation email employee end engine entry episode event expiry faculty
  fee file film first flight flow full game gender genre goal grade grand group guest head height hire home host hotel
  hour house image indep info insurance invoice issue item job kind language last late leader length level library
  life expectancy line list local location log long loser low main major maker manager market master match maximum
  media member message method middle min minimum minute mobile model money month movie name nation national
  nationality note number object office official open opening order origin owner page paid parent party patient pay
  payment percentage performer pet phone place plan play player point points policy population position post postal
  power price prime priority prize product program project province publish published publisher quality quantity race
  rank rate rating reason region registration release rent report result review road role room route salary sale sales
  score season seat section seller series service sex share ship shop size song source speed sport staff stage star
  start state station status stay stock stop store street student style subject supplier surface system table taken
  target tax teacher team telephone term test text ticket time title total town track train transaction transport
  treatment trip type unit update user value vehicle venue version video view visit visitor vote water weight width
  winner work writer year years zip
  bedroom bathroom classroom database playlist warehouse weekday workshop
  championship citizenship friendship internship leadership membership ownership partnership readership relationship
  scholarship sponsorship""".split()
)

TABLE_PREFIXES = frozenset(
  ("has", "have", "ref", "tbl", "tb", "dim", "fact", "stg", "lookup", "lkp", "the", "all")
)
# Schemas in which engines put what nobody puts elsewhere.
UNSPOKEN_SCHEMAS = frozenset(("", "public", "main"))
# Columns named by a verb, as a noun.
VERB_TABLES = {
  "lives": "residence", "works": "job", "plays": "engagement", "participates": "participation", "attends": "attendance",
  "belongs": "membership", "enrolled": "enrollment", "registered": "registration", "stays": "stay", "studies": "study",
  "assigned": "assignment", "affiliated": "affiliation", "trained": "training", "member": "membership", "minor": "minor",
  "travels": "trip", "serves": "service", "applies": "application",
}  # fmt: skip
COLUMN_PHRASES = {
  ("how", "to", "get", "there"): ("directions",),
  ("directed", "by"): ("director",), ("written", "by"): ("writer",), ("produced", "by"): ("producer",),
  ("created", "by"): ("creator",), ("made", "by"): ("maker",), ("published", "by"): ("publisher",),
  ("reports", "to"): ("manager", "id"), ("report", "to"): ("manager", "id"), ("belongs", "to"): ("owner", "id"),
  ("zip", "code", "postcode"): ("zip", "code"), ("postcode", "zip", "code"): ("zip", "code"),
  ("state", "province"): ("state",), ("state", "province", "county"): ("state",), ("state", "county"): ("state",),
  ("line", "1"): ("first", "address", "line"), ("line", "2"): ("second", "address", "line"),
  ("line", "3"): ("third", "address", "line"), ("address", "line", "1"): ("first", "address", "line"),
  ("address", "line", "2"): ("second", "address", "line"), ("address", "line", "3"): ("third", "address", "line"),
  ("scores",): ("score",), ("marks",): ("mark",), ("ratings",): ("rating",),
  ("took", "office"): ("date", "of", "taking", "office"), ("left", "office"): ("date", "of", "leaving", "office"),
  ("x",): ("x", "coordinate"), ("y",): ("y", "coordinate"), ("z",): ("z", "coordinate"),
  ("year", "join"): ("joining", "year"), ("join", "year"): ("joining", "year"), ("join", "date"): ("joining", "date"),
  ("from",): ("origin",), ("to",): ("destination",), ("other", "details"): ("other", "information"),
  ("town", "city"): ("city",), ("city", "town"): ("city",), ("accelerate",): ("acceleration",),
  ("bytes",): ("size", "in", "bytes"), ("milliseconds",): ("length", "in", "milliseconds"),
}  # fmt: skip
TABLE_SUFFIXES = frozenset(
  ("tbl", "table", "data", "info", "details", "detail", "master", "list", "records")
)
# Words that end in "id" and identify nothing.
ENDS_IN_ID = frozenset(
  "paid bid valid grid aid said raid fluid solid hybrid covid acid rapid kid lid mid".split()
)
# A table called by what is done in it, as a noun.
DEEDS_OF_TABLES = {
  "arrange": "arrangement", "assign": "assignment", "attend": "attendance", "borrow": "loan", "enrol": "enrolment",
  "enroll": "enrollment", "participate": "participation", "teach": "teaching", "manage": "management",
}  # fmt: skip
DEEDS_OF_VERBS = {"plays": "play"}  # Of another than VERB_TABLES says, before what it is done to.
# Participles of people that a number column counts.
SUFFERED = frozenset("killed injured wounded infected affected".split())
# What time is counted in.
TIMES = frozenset("hours minutes seconds days weeks months years".split())
# Behind the initial of what a column belongs to: pname, dno.
AFTER_INITIAL = frozenset("name no num number location title type code".split())
# A number column whose name begins so does not count what its name ends in.
NOT_OF_COUNTS = frozenset(
  "total average mean maximum minimum max min number amount sum rate percentage no combined".split()
)
KEY_WORDS = frozenset(("id", "ids", "code", "key", "number", "ref", "fk", "no", "uuid"))
NOT_ROLES = frozenset(
  "parent name type reference child link record object entity source ref fk".split()
)
VERB_LIKE = frozenset("has is was reports supports".split())
PREPOSITIONS = frozenset("of in by for to at from on with".split())
PARTICIPLES = frozenset(
  """active paid closed open approved cancelled canceled available verified completed published deleted enabled archived
  refunded returned delivered shipped sold retired certified licensed vaccinated discontinued featured insured married
  private public""".split()
)

UNCOUNTABLE = frozenset(
  """staff equipment furniture information info data news weather music series species media software hardware personnel
  money feedback homework evidence luggage police cattle sheep fish aircraft faculty headquarters stuff traffic advice
  research gps tennis physics statistics mathematics dna mpg mph usd vat gdp gnp horsepower
  stock wellbeing money clothing transport premises goods
  bluetooth wifi internet
  savings earnings details hours grounds sales politics economics logistics wages""".split()
)
# Column names may end in these; what is counted stands before them ("date sold", "dates sold").
TRAILING_WORDS = frozenset(
  """sold from to by at on in for of won lost paid held bought made left given taken drawn
  available""".split()
)
# Plural, though there may be one of them only: "the sales are", "what are the details".
PLURAL_VERB = frozenset(
  "details credits points earnings savings hours wages sales grounds goods clothes directions credentials".split()
)
# What cannot be counted, but by its records.
RECORDED = frozenset("weather information traffic stock data".split())
# Words in "ed" that are no participles.
NOT_PARTICIPLES = frozenset(
  "bed bleed breed creed deed feed freed greed hundred med need red reed seed shed sled speed steed weed".split()
)
# Plural in front of other nouns too.
PLURAL_MODIFIERS = frozenset(
  "sports arms customs systems operations communications electronics".split()
)
# Behind a noun in identifiers, before it in English.
LEADING_WORDS = frozenset(("old", "new", "previous", "current", "former"))
IRREGULAR_PLURALS = {
  "status": "statuses", "bus": "buses", "gas": "gases", "campus": "campuses", "person": "people", "man": "men",
  "woman": "women",
  "child": "children", "id": "ids", "index": "indexes", "matrix": "matrices", "analysis": "analyses", "medium": "media",
  "lens": "lenses", "staff member": "staff members", "bonus": "bonuses", "virus": "viruses", "diagnosis": "diagnoses",
}  # fmt: skip
IRREGULAR_SINGULARS = {
  "people": "person", "movies": "movie", "cookies": "cookie", "shoes": "shoe", "leaves": "leave", "lives": "life",
  "axes": "axis",
  "indices": "index", "matrices": "matrix", "children": "child", "men": "man", "women": "woman", "buses": "bus",
  "statuses": "status",
  "lens": "lens", "lenses": "lens", "aliases": "alias", "series": "series", "calories": "calorie", "categories": "category",
}  # fmt: skip

PERSONS = frozenset(
  """person people doctor patient nurse physician student teacher instructor professor employee worker staff customer
  client user member author writer director actor actress singer musician artist player coach manager driver pilot
  captain host guest visitor owner buyer seller vendor candidate applicant agent donor volunteer speaker performer
  composer conductor producer editor publisher reader borrower librarian lecturer tutor trainer advisor adviser
  inspector engineer architect designer developer scientist researcher clerk cashier chef cook waiter farmer builder
  technician therapist surgeon dentist officer judge lawyer attorney governor president minister senator
  representative politician contestant competitor participant athlete swimmer wrestler runner gymnast cyclist climber
  boxer jockey passenger traveler traveller tourist resident tenant landlord citizen voter policyholder subscriber
  follower friend relative parent child mother father husband wife spouse kid man woman boy girl baby supervisor boss
  chairman secretary treasurer head investor shareholder founder entrepreneur perpetrator victim suspect debtor
  creditor lender caller attendee organizer sponsor professional individual human crew faculty personnel reviewer
  critic fan contributor curator photographer dancer drummer guitarist vocalist conductor bandmate teammate referee
  umpire goalkeeper pupil graduate intern apprentice contractor consultant analyst administrator operator provider
  carer caregiver guardian team_member staff_member""".split()
)
NOT_PERSONS = frozenset(
  (
    "list",
    "playlist",
    "checklist",
    "wishlist",
    "waitlist",
    "tracklist",
    "pedestrian",
    "median",
    "career",
  )
)

NAMING_COLUMNS = frozenset(("name", "title", "full name", "common name", "label"))

# Columns called by what happened: participle -> (stem of "... date", past tense of many, of one).
# "were" marks the passive.
EVENTS_OF_COLUMNS = {
  "opened": ("opening", "opened", "opened"), "hired": ("hire", "were hired", "was hired"),
  "formed": ("formation", "were formed", "was formed"),
  "joined": ("joining", "joined", "joined"), "bought": ("purchase", "were bought", "was bought"),
  "purchased": ("purchase", "were purchased", "was purchased"),
  "refunded": ("refund", "were refunded", "was refunded"), "reserved": ("reservation", "were reserved", "was reserved"),
  "founded": ("founding", "were founded", "was founded"),
  "established": ("establishment", "were established", "was established"),
  "published": ("publication", "were published", "was published"), "created": ("creation", "were created", "was created"),
  "released": ("release", "were released", "was released"), "built": ("construction", "were built", "was built"),
  "born": ("birth", "were born", "was born"),
  "died": ("death", "died", "died"), "paid": ("payment", "were paid", "was paid"),
  "shipped": ("shipping", "were shipped", "was shipped"),
  "delivered": ("delivery", "were delivered", "was delivered"), "sold": ("sale", "were sold", "was sold"),
  "returned": ("return", "were returned", "was returned"),
  "updated": ("update", "were updated", "was updated"), "started": ("start", "started", "started"),
  "ended": ("end", "ended", "ended"),
  "borrowed": ("borrowing", "were borrowed", "was borrowed"),
  "registered": ("registration", "were registered", "was registered"),
  "enrolled": ("enrollment", "enrolled", "enrolled"), "closed": ("closing", "were closed", "was closed"),
  "issued": ("issue", "were issued", "was issued"),
  "signed": ("signing", "were signed", "was signed"), "admitted": ("admission", "were admitted", "was admitted"),
  "discharged": ("discharge", "were discharged", "was discharged"), "launched": ("launch", "were launched", "was launched"),
  "ordered": ("order", "were ordered", "was ordered"), "posted": ("posting", "were posted", "was posted"),
  "sent": ("sending", "were sent", "was sent"),
  "received": ("receipt", "were received", "was received"), "booked": ("booking", "were booked", "was booked"),
  "completed": ("completion", "were completed", "was completed"),
  "discontinued": ("discontinuation", "were discontinued", "was discontinued"),
  "awarded": ("award", "were awarded", "was awarded"),
  "cancelled": ("cancellation", "were cancelled", "was cancelled"), "retired": ("retirement", "retired", "retired"),
  "adopted": ("adoption", "were adopted", "was adopted"),
  "acquired": ("acquisition", "were acquired", "was acquired"), "approved": ("approval", "were approved", "was approved"),
  "moved": ("moving", "moved", "moved"),
  "settled": ("settlement", "were settled", "was settled"), "reported": ("report", "were reported", "was reported"),
  "rented": ("rental", "were rented", "was rented"),
  "appointed": ("appointment", "were appointed", "was appointed"), "elected": ("election", "were elected", "was elected"),
  "visited": ("visit", "were visited", "was visited"),
  "planted": ("planting", "were planted", "was planted"), "painted": ("painting", "were painted", "was painted"),
  "added": ("addition", "were added", "was added"), "arrived": ("arrival", "arrived", "arrived"),
  "departed": ("departure", "departed", "departed"), "left": ("departure", "left", "left"),
  "done": ("completion", "were done", "was done"), "finished": ("finishing", "were finished", "was finished"),
  "filed": ("filing", "were filed", "was filed"), "installed": ("installation", "were installed", "was installed"),
  "inspected": ("inspection", "were inspected", "was inspected"), "repaired": ("repair", "were repaired", "was repaired"),
  "tested": ("testing", "were tested", "was tested"), "renewed": ("renewal", "were renewed", "was renewed"),
  "expired": ("expiry", "expired", "expired"), "submitted": ("submission", "were submitted", "was submitted"),
  "graduated": ("graduation", "graduated", "graduated"), "married": ("marriage", "married", "married"),
  "promoted": ("promotion", "were promoted", "was promoted"), "collected": ("collection", "were collected", "was collected"),
  "recorded": ("recording", "were recorded", "was recorded"), "scheduled": ("scheduling", "were scheduled", "was scheduled"),
  "vaccinated": ("vaccination", "were vaccinated", "was vaccinated"),
}  # fmt: skip
# Columns "release date", "year of birth" tell of the same events; these stems are too general for
# it.
VAGUE_STEMS = frozenset(
  """visit report order update posting sending moving addition receipt booking admission registration election
  appointment finishing filing installation inspection repair testing renewal submission marriage promotion collection
  recording scheduling vaccination""".split()
)
# Events that may never happen: no date means that they did not, not that it is unknown when.
OPTIONAL_EVENTS = frozenset(
  """refunded returned paid shipped delivered sold cancelled closed completed discharged retired died settled approved published
  discontinued released adopted launched received ended left departed done finished graduated""".split()
)
# Of events with the same stem the first.
EVENT_STEMS = {
  forms[0]: participle
  for participle, forms in reversed(EVENTS_OF_COLUMNS.items())
  if forms[0] not in VAGUE_STEMS
}
# Columns that are called by an adjective alone.
SUPERLATIVE_NAMES = frozenset(
  {"highest", "lowest", "average", "maximum", "minimum", "max", "min", "best", "worst"}
)
# Adjectives that name a number column, which then has no noun.
ADJECTIVE_NAMES = frozenset(
  """black white asian hispanic multiracial amerindian native male female domestic international urban rural undergraduate
  graduate foreign""".split()
)
NOT_COUNTED = frozenset(
  """sales earnings profits savings wages revenues losses details gross status address milliseconds bytes news goods
  taxes series fees costs charges""".split()
)
UNITS = frozenset(
  """bytes milligrams cents pence pieces people persons feet ft km kilometers m meters metres cm mm miles mi inches kg kilograms
  lbs pounds grams g tons minutes seconds hours days weeks months years dollar dollars usd eur euros gbp percent percentage
  KB MB GB TB KiB MiB GiB TiB kHz MHz GHz kWh
  degrees tonnes gallons
  mph kmh kw watts liters litres celsius fahrenheit mg ml milliseconds millions billion million thousands""".split()
)
UNIT_NAMES = {
  "ft": "feet",
  "km": "km",
  "m": "meters",
  "mi": "miles",
  "lbs": "pounds",
  "usd": "dollars",
  "dollar": "dollars",
  "eur": "euros",
  "gbp": "pounds",
  "g": "grams",
}
# A comment that starts so, or consists of units, does not name its column.
NO_NAMES = frozenset(
  """where when as in if empty null not only see the format day date value values used for from to stored is may can must
  one part""".split()
)
ADJECTIVES = frozenset(
  """main active primary current valid public private open available free new official mandatory optional vip""".split()
)

# Tags of columns by the last word of their name.
ATTRIBUTE_TAGS: dict[str, frozenset[str]] = {
  "name": frozenset("name title label nickname surname forename".split()),
  "place": frozenset(
  """city town country state region county province location place hometown district village nation continent
  headquarters""".split()
),
  "type": frozenset(
  """type kind category genre class style gender sex status breed role specialty speciality discipline""".split()
),
  "year": frozenset(("year",)),
  "date": frozenset("date datetime day timestamp time birthday birthdate dob".split()) | {"date of birth"},
  "birth": frozenset(("birth date", "birthday", "birthdate", "date of birth", "birth year", "born")),
  "age": frozenset(("age",)),
  "price": frozenset("price cost fare fee rent".split()),
  "pay": frozenset("salary wage pay income earnings".split()),
  "money": frozenset(
  """price cost fare fee rent salary wage pay income earnings amount budget revenue profit balance total sale sales value
  tax""".split()
),
  "duration": frozenset("duration length runtime".split()) | {"running time", "playing time"},
  "length": frozenset(("length", "distance", "mileage")),
  "height": frozenset(("height",)),
  "weight": frozenset(("weight",)),
  "size": frozenset("size area capacity population enrollment attendance".split()),
  "speed": frozenset(("speed",)),
  "rating": frozenset("rating score grade gpa GPA rank ranking mark".split()) - {"rank", "ranking"},
  "count": frozenset("quantity count copies seats employees".split()),
}  # fmt: skip
NUMERIC_TAGS = (
  "age",
  "price",
  "pay",
  "money",
  "duration",
  "length",
  "height",
  "weight",
  "size",
  "speed",
  "count",
)

TABLE_SYNONYMS = {
  "customer": ("client",), "client": ("customer",), "employee": ("staff member", "worker"), "doctor": ("physician",),
  "physician": ("doctor",), "movie": ("film",), "film": ("movie",), "student": ("pupil",), "teacher": ("instructor",),
  "instructor": ("teacher",), "author": ("writer",), "writer": ("author",), "purchase": ("buy",)[:0], "shop": ("store",),
  "store": ("shop",), "song": ("track",), "company": ("firm",), "vehicle": ("car",)[:0], "automobile": ("car",),
  "staff": ("staff member", "employee"), "supplier": ("vendor",), "vendor": ("supplier",), "airplane": ("plane",),
  "photo": ("picture",), "photograph": ("photo",), "person": ("individual",), "user": ("account holder",)[:0],
  "appointment": ("booking",)[:0], "reservation": ("booking",), "booking": ("reservation",), "musician": ("music artist",),
  "town": ("city",), "medication": ("medicine", "drug"), "medicine": ("medication", "drug"), "attendee": ("participant",),
  "participant": ("attendee",)[:0], "loan": ("checkout",)[:0], "dept": ("department",), "faculty": ("faculty member",),
}  # fmt: skip

COLUMN_SYNONYMS = {
  "salary": ("pay", "wage"), "price": ("cost",), "cost": ("price",), "phone": ("phone number", "telephone number"),
  "phone number": ("telephone number", "phone"), "email": ("email address", "e-mail"), "email address": ("email",),
  "gender": ("sex",), "sex": ("gender",), "date of birth": ("birth date", "birthday"),
  "birth date": ("date of birth", "birthday"),
  "birthday": ("date of birth",), "city": ("town",), "country": ("nation",), "description": ("details",),
  "quantity": ("amount",)[:0],
  "duration": ("length",), "category": ("type", "kind"), "type": ("kind",), "kind": ("type",),
  "start date": ("starting date", "beginning date"),
  "end date": ("ending date", "finish date"), "hire date": ("date of hire", "hiring date"), "comment": ("remark",),
  "title": ("name",),
  "surname": ("last name", "family name"), "last name": ("surname", "family name"), "first name": ("given name", "forename"),
  "forename": ("first name",), "capacity": ("maximum capacity",)[:0], "zip code": ("postal code",),
  "postal code": ("zip code",),
  "nationality": ("country of origin",)[:0], "occupation": ("job", "profession"), "job": ("occupation",), "note": ("remark",),
  "publication year": ("year of publication",), "release year": ("year of release",), "birth year": ("year of birth",),
  "publication date": ("date of publication",), "release date": ("date of release",), "order date": ("date of the order",)[:0],
  "color": ("colour",), "colour": ("color",), "home town": ("hometown",), "hometown": ("home town",),
  "specialty": ("speciality", "specialization"),
  "website": ("web page",), "employee": ("staff member",), "average": ("mean",), "total": ("total amount",), "fee": ("charge",),
  "founded": ("founding year",)[:0], "opening year": ("year of opening",), "manager": ("supervisor",)[:0],
  "sales": ("sales figure",)[:0],
}  # fmt: skip
LAST_WORD_SYNONYMS = {
  "price": ("cost",), "phone": ("phone number",), "email": ("email address",), "cost": ("price",), "description": ("details",),
}  # fmt: skip
