"""Tables of English used by the question writer: abbreviations, synonyms, and the ways to word each construct.

General English only: nothing here is taken from, or specific to, one database or benchmark.
"""

from __future__ import annotations

# ---------------------------------------------------------------------------------------------------------------- names

ABBREVIATIONS = {
  "abbr": "abbreviation", "abbrev": "abbreviation", "acc": "account", "acct": "account", "addr": "address", "alt": "altitude",
  "amt": "amount", "apt": "apartment", "appt": "appointment", "apps": "appearances", "asst": "assistant", "attr": "attribute",
  "avg": "average", "bal": "balance", "bldg": "building", "cal": "calendar", "char": "character", "cnt": "count",
  "comp": "company", "cred": "credits", "cust": "customer", "dept": "department", "desc": "description",
  "descr": "description", "dest": "destination", "dir": "director", "div": "division", "dob": "date of birth",
  "dst": "destination", "dt": "date", "emp": "employee", "enr": "enrollment", "eval": "evaluation", "fname": "first name",
  "fax": "fax", "freq": "frequency", "gpa": "GPA", "gdp": "GDP", "gnp": "GNP", "hr": "hour", "hrs": "hours", "hq": "headquarters",
  "id": "id", "ids": "ids", "img": "image", "init": "initial", "inst": "institution", "instr": "instructor", "inv": "invoice",
  "ip": "IP", "isbn": "ISBN", "lat": "latitude", "lname": "last name", "lng": "longitude", "loc": "location",
  "lon": "longitude", "manuf": "manufacturer", "max": "max", "mgr": "manager", "min": "min", "mins": "minutes", "msg": "message",
  "nbr": "number", "num": "number", "no": "number", "org": "organization", "orig": "origin", "pct": "percentage", "perc": "percentage",
  "percent": "percentage", "ph": "phone", "pos": "position", "pop": "population", "prereq": "prerequisite", "prod": "product",
  "prof": "professor", "proj": "project", "pts": "points", "pwd": "password", "qty": "quantity", "rec": "record", "reg": "registration",
  "rel": "release", "req": "required", "sal": "salary", "sec": "section", "src": "source", "ssn": "SSN", "std": "standard",
  "stu": "student", "tel": "phone number", "temp": "temperature", "tot": "total", "tran": "transaction", "trans": "transaction",
  "txn": "transaction", "univ": "university", "uid": "user id", "url": "URL", "usr": "user", "val": "value", "veh": "vehicle",
  "vol": "volume", "wt": "weight", "yr": "year", "yn": "flag", "zip": "zip code", "postcode": "postcode", "%": "percentage",
  "mpg": "MPG", "usd": "USD", "vat": "VAT", "vip": "VIP", "ceo": "CEO", "cpu": "CPU", "dna": "DNA", "tv": "TV", "sms": "SMS",
  "pdf": "PDF", "iso": "ISO", "mph": "mph", "hp": "horsepower", "ticketno": "ticket number", "sku": "SKU", "pin": "PIN", "gps": "GPS",
  "uk": "UK", "us": "US", "usa": "USA", "eu": "EU", "hh": "household", "ht": "height",
}  # fmt: skip

AGGREGATE_PREFIXES = {"avg": "average", "min": "minimum", "max": "maximum", "tot": "total"}

LEXICON = frozenset(
  """account activity actor address age airline airport album amount area artist author average balance base bath bed bill birth birthday block
  board body book branch brand budget building bus business call campus capacity card case category check city class client club
  code color colour comment company contact contract cost count country county course create created credit customer cut date day debit degree delivery department
  description destination detail device dim director distance doctor duration elevation email employee end engine entry episode
  event expiry faculty fee file film first flight flow full game gender genre goal grade grand group guest head height hire home host hotel
  hour house image indep info insurance invoice issue item job kind language last late leader length level library life expectancy line
  list local location log long loser low main major maker manager market master match maximum media member message method middle min minimum minute mobile model
  money month movie name nation national nationality note number object office official open opening order origin owner page paid
  parent party patient pay payment percentage performer pet phone place plan play player point points policy population position post postal power
  price prime priority prize product program project province publish published publisher quality quantity race rank rate rating reason region
  registration release rent report result review road role room route salary sale sales score season seat section seller series service sex share ship shop
  size song source speed sport staff stage star start state station status stay stock stop store street student style subject supplier surface system table
  taken target tax teacher team telephone term test text ticket time title total town track train transaction transport treatment trip type unit
  update user value vehicle venue version video view visit visitor vote water weight width winner work writer year years zip""".split()
)

TABLE_PREFIXES = frozenset(("ref", "tbl", "tb", "dim", "fact", "stg", "lookup", "lkp", "the"))
TABLE_SUFFIXES = frozenset(("tbl", "table", "data", "info", "details", "detail", "master", "list", "records"))
KEY_WORDS = frozenset(("id", "ids", "code", "key", "number", "ref", "fk", "no", "uuid"))
NOT_ROLES = frozenset("parent name type reference child link record object entity source ref fk".split())
VERB_LIKE = frozenset("has is was reports supports".split())
PREPOSITIONS = frozenset("of in by for to at from on with".split())
PARTICIPLES = frozenset("active paid closed open approved cancelled canceled available verified completed published deleted enabled archived refunded "
                        "returned delivered shipped sold retired certified licensed vaccinated discontinued featured insured married private public"
                        .split())  # fmt: skip

UNCOUNTABLE = frozenset(
  """staff equipment furniture information info data news weather music series species media software hardware personnel money feedback homework
  evidence luggage police cattle sheep fish aircraft faculty headquarters stuff traffic advice research gps tennis physics statistics
  mathematics gender dna mpg mph usd vat gdp gnp horsepower inventory enrollment attendance stock population wellbeing money clothing
  transport birth death weight height premises goods savings earnings details credits contents hours points grounds kids adults sales
  politics economics logistics wages""".split()
) - {"gender", "birth", "death", "weight", "height", "population", "enrollment", "inventory", "attendance"}
# Column names may end in these; what is counted stands before them ("date sold", "dates sold").
TRAILING_WORDS = frozenset("sold from to by at on in for of won lost paid held bought made left given taken drawn".split())
IRREGULAR_PLURALS = {
  "status": "statuses", "bus": "buses", "gas": "gases", "campus": "campuses", "person": "people", "man": "men", "woman": "women",
  "child": "children", "id": "ids", "index": "indexes", "matrix": "matrices", "analysis": "analyses", "medium": "media",
  "staff member": "staff members", "bonus": "bonuses", "virus": "viruses", "diagnosis": "diagnoses",
}  # fmt: skip
IRREGULAR_SINGULARS = {
  "people": "person", "movies": "movie", "cookies": "cookie", "shoes": "shoe", "leaves": "leave", "lives": "life", "axes": "axis",
  "indices": "index", "matrices": "matrix", "children": "child", "men": "man", "women": "woman", "buses": "bus", "statuses": "status",
  "aliases": "alias", "series": "series", "calories": "calorie", "categories": "category",
}  # fmt: skip

PERSONS = frozenset(
  """person people doctor patient nurse physician student teacher instructor professor employee worker staff customer client user member author
  writer director actor actress singer musician artist player coach manager driver pilot captain host guest visitor owner buyer seller vendor
  candidate applicant agent donor volunteer speaker performer composer conductor producer editor publisher reader borrower librarian
  lecturer tutor trainer advisor adviser inspector engineer architect designer developer scientist researcher clerk cashier chef cook
  waiter farmer builder technician therapist surgeon dentist officer judge lawyer attorney governor president minister senator
  representative politician contestant competitor participant athlete swimmer wrestler runner gymnast cyclist climber boxer jockey
  passenger traveler traveller tourist resident tenant landlord citizen voter policyholder subscriber follower friend
  relative parent child mother father husband wife spouse kid man woman boy girl baby supervisor boss chairman secretary treasurer head
  investor shareholder founder entrepreneur perpetrator victim suspect debtor creditor lender caller attendee organizer sponsor professional
  individual human crew faculty personnel reviewer critic fan contributor curator photographer dancer drummer guitarist vocalist
  conductor bandmate teammate referee umpire goalkeeper pupil graduate intern apprentice contractor consultant
  analyst administrator operator provider carer caregiver guardian team_member staff_member""".split()
)
NOT_PERSONS = frozenset(
  ("list", "playlist", "checklist", "wishlist", "waitlist", "tracklist", "pedestrian", "median", "career")
)

NAMING_COLUMNS = frozenset(("name", "title", "full name", "common name", "label"))

# Columns called by what happened: participle -> (stem of "... date", past tense of many, of one). "were" marks the passive.
EVENTS_OF_COLUMNS = {
  "opened": ("opening", "opened", "opened"), "hired": ("hire", "were hired", "was hired"), "formed": ("formation", "were formed", "was formed"),
  "joined": ("joining", "joined", "joined"), "bought": ("purchase", "were bought", "was bought"), "purchased": ("purchase", "were purchased", "was purchased"),
  "refunded": ("refund", "were refunded", "was refunded"), "reserved": ("reservation", "were reserved", "was reserved"),
  "founded": ("founding", "were founded", "was founded"), "established": ("establishment", "were established", "was established"),
  "published": ("publication", "were published", "was published"), "created": ("creation", "were created", "was created"),
  "released": ("release", "were released", "was released"), "built": ("construction", "were built", "was built"), "born": ("birth", "were born", "was born"),
  "died": ("death", "died", "died"), "paid": ("payment", "were paid", "was paid"), "shipped": ("shipping", "were shipped", "was shipped"),
  "delivered": ("delivery", "were delivered", "was delivered"), "sold": ("sale", "were sold", "was sold"), "returned": ("return", "were returned", "was returned"),
  "updated": ("update", "were updated", "was updated"), "started": ("start", "started", "started"), "ended": ("end", "ended", "ended"),
  "borrowed": ("borrowing", "were borrowed", "was borrowed"), "registered": ("registration", "were registered", "was registered"),
  "enrolled": ("enrollment", "enrolled", "enrolled"), "closed": ("closing", "were closed", "was closed"), "issued": ("issue", "were issued", "was issued"),
  "signed": ("signing", "were signed", "was signed"), "admitted": ("admission", "were admitted", "was admitted"),
  "discharged": ("discharge", "were discharged", "was discharged"), "launched": ("launch", "were launched", "was launched"),
  "ordered": ("order", "were ordered", "was ordered"), "posted": ("posting", "were posted", "was posted"), "sent": ("sending", "were sent", "was sent"),
  "received": ("receipt", "were received", "was received"), "booked": ("booking", "were booked", "was booked"), "completed": ("completion", "were completed", "was completed"),
  "cancelled": ("cancellation", "were cancelled", "was cancelled"), "retired": ("retirement", "retired", "retired"), "adopted": ("adoption", "were adopted", "was adopted"),
  "acquired": ("acquisition", "were acquired", "was acquired"), "approved": ("approval", "were approved", "was approved"), "moved": ("moving", "moved", "moved"),
  "settled": ("settlement", "were settled", "was settled"), "reported": ("report", "were reported", "was reported"), "rented": ("rental", "were rented", "was rented"),
  "appointed": ("appointment", "were appointed", "was appointed"), "elected": ("election", "were elected", "was elected"), "visited": ("visit", "were visited", "was visited"),
  "planted": ("planting", "were planted", "was planted"), "painted": ("painting", "were painted", "was painted"), "added": ("addition", "were added", "was added"),
}  # fmt: skip
NOT_COUNTED = frozenset("sales earnings profits savings points wages revenues losses details gross status address milliseconds bytes news "
                        "goods taxes series fees costs charges".split())  # fmt: skip
UNITS = frozenset("milligrams cents pence pieces people persons feet ft km kilometers m meters metres cm mm miles mi inches kg kilograms lbs pounds grams g tons minutes seconds hours days weeks "
                  "months years dollars usd eur euros gbp percent percentage mph kmh kw watts liters litres celsius fahrenheit mg ml milliseconds "
                  "millions billion million thousands".split())  # fmt: skip
UNIT_NAMES = {
  "ft": "feet",
  "km": "km",
  "m": "meters",
  "mi": "miles",
  "lbs": "pounds",
  "usd": "dollars",
  "eur": "euros",
  "gbp": "pounds",
  "g": "grams",
}
# A comment that starts so, or consists of units, does not name its column.
NO_NAMES = frozenset(
  "where when as in if empty null not only see the format day date value values used for from to stored is may can must one".split()
)
ADJECTIVES = frozenset(
  "main active primary current valid public private open available free new official mandatory optional vip".split()
)

# Tags of columns by the last word of their name.
ATTRIBUTE_TAGS: dict[str, frozenset[str]] = {
  "name": frozenset("name title label nickname surname forename".split()),
  "place": frozenset("city town country state region county province location place hometown district village nation continent".split()),
  "type": frozenset("type kind category genre class style gender sex status breed role specialty speciality discipline".split()),
  "year": frozenset(("year",)),
  "date": frozenset("date datetime day timestamp time birthday birthdate dob".split()) | {"date of birth"},
  "birth": frozenset(("birth date", "birthday", "birthdate", "date of birth", "birth year", "born")),
  "age": frozenset(("age",)),
  "price": frozenset("price cost fare fee rent".split()),
  "pay": frozenset("salary wage pay income earnings".split()),
  "money": frozenset("price cost fare fee rent salary wage pay income earnings amount budget revenue profit balance total sale sales value tax".split()),
  "duration": frozenset("duration length runtime".split()) | {"running time", "playing time"},
  "length": frozenset(("length", "distance", "mileage")),
  "height": frozenset(("height", "elevation", "altitude")),
  "weight": frozenset(("weight",)),
  "size": frozenset("size area capacity population enrollment attendance".split()),
  "speed": frozenset(("speed",)),
  "rating": frozenset("rating score grade gpa GPA rank ranking point points mark".split()),
  "count": frozenset("quantity count copies seats employees".split()),
}  # fmt: skip
NUMERIC_TAGS = ("age", "price", "pay", "money", "duration", "length", "height", "weight", "size", "speed", "count")

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
  "gender": ("sex",), "sex": ("gender",), "date of birth": ("birth date", "birthday"), "birth date": ("date of birth", "birthday"),
  "birthday": ("date of birth",), "city": ("town",), "country": ("nation",), "description": ("details",), "quantity": ("amount",)[:0],
  "duration": ("length",), "category": ("type", "kind"), "type": ("kind",), "kind": ("type",), "start date": ("starting date", "beginning date"),
  "end date": ("ending date", "finish date"), "hire date": ("date of hire", "hiring date"), "comment": ("remark",), "title": ("name",),
  "surname": ("last name", "family name"), "last name": ("surname", "family name"), "first name": ("given name", "forename"),
  "forename": ("first name",), "capacity": ("maximum capacity",)[:0], "zip code": ("postal code",), "postal code": ("zip code",),
  "nationality": ("country of origin",)[:0], "occupation": ("job", "profession"), "job": ("occupation",), "note": ("remark",),
  "publication year": ("year of publication",), "release year": ("year of release",), "birth year": ("year of birth",),
  "publication date": ("date of publication",), "release date": ("date of release",), "order date": ("date of the order",)[:0],
  "color": ("colour",), "colour": ("color",), "home town": ("hometown",), "hometown": ("home town",), "specialty": ("speciality", "specialization"),
  "website": ("web page",), "employee": ("staff member",), "average": ("mean",), "total": ("total amount",), "fee": ("charge",),
  "founded": ("founding year",)[:0], "opening year": ("year of opening",), "manager": ("supervisor",)[:0], "sales": ("sales figure",)[:0],
}  # fmt: skip
LAST_WORD_SYNONYMS = {
  "price": ("cost",), "phone": ("phone number",), "email": ("email address",), "cost": ("price",), "description": ("details",),
}  # fmt: skip

# ------------------------------------------------------------------------------------------------------------ sentences

COMMANDS = (
  ("Show", 10), ("List", 10), ("Find", 9), ("Give me", 7), ("Return", 6), ("Give", 4), ("Show me", 5), ("Tell me", 5), ("Get", 4),
  ("Display", 2), ("Find out", 1), ("Please list", 2), ("Please show", 1), ("Report", 1), ("Retrieve", 1), ("Provide", 1),
  ("Look up", 1), ("Select", 1), ("Please give me", 1), ("Get me", 1), ("Please find", 1), ("Fetch", 1),
)  # fmt: skip
INDIRECT = (
  ("I'd like to see {0}.", 3), ("Can you tell me {0}?", 4), ("I need {0}.", 3), ("We want to know {0}.", 2), ("I want to know {0}.", 2),
  ("Could you show me {0}?", 3), ("I would like to know {0}.", 2), ("Can you list {0}?", 3), ("Can you give me {0}?", 2),
  ("Could you find {0}?", 1), ("I am looking for {0}.", 2), ("I'm interested in {0}.", 1), ("Let me see {0}.", 1), ("We need {0}.", 1),
  ("Please tell me {0}.", 2), ("I want {0}.", 1), ("Do you know {0}?", 1), ("Any idea what {be} {0}?", 1), ("I want to see {0}.", 1),
)  # fmt: skip

COUNT_NOUNS = ("the number of", "the count of", "the total number of", "the number of")
DISTINCT_WORDS = ("different", "distinct", "unique")

MORE = (("more than", 8), ("over", 4), ("above", 4), ("greater than", 4), ("higher than", 3), ("larger than", 1), ("exceeding", 1), ("bigger than", 1))  # fmt: skip
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
AFTER = (("after", 10), ("later than", 3), ("more recent than", 1))
BEFORE = (("before", 10), ("earlier than", 3), ("prior to", 1))
SINCE = (("on or after", 5), ("since", 5), ("no earlier than", 2), ("from {0} on", 2), ("from {0} onwards", 1))
UNTIL = (("on or before", 5), ("until", 2), ("no later than", 4), ("up to", 2))

# What a thing can be compared by, said of the thing: tag -> (more, less).
THING_COMPARATIVES = {
  "age": ("older", "younger"), "height": ("taller", "shorter"), "weight": ("heavier", "lighter"), "duration": ("longer", "shorter"),
  "speed": ("faster", "slower"), "price": ("more expensive", "cheaper"),
}  # fmt: skip
# The superlatives of a column's noun: tag -> (highest, lowest).
NOUN_SUPERLATIVES = {
  "age": (("highest", "greatest"), ("lowest", "smallest")), "price": (("highest",), ("lowest",)), "pay": (("highest", "biggest"), ("lowest", "smallest")),
  "money": (("highest", "largest", "biggest"), ("lowest", "smallest")), "duration": (("longest",), ("shortest",)),
  "length": (("longest", "greatest"), ("shortest", "smallest")), "height": (("greatest", "highest"), ("lowest", "smallest")),
  "weight": (("greatest", "highest", "largest"), ("lowest", "smallest")), "size": (("largest", "biggest", "highest"), ("smallest", "lowest")),
  "speed": (("highest", "fastest"), ("lowest", "slowest")), "rating": (("highest", "best"), ("lowest", "worst")),
  "date": (("latest", "most recent"), ("earliest", "oldest")), "year": (("latest", "most recent"), ("earliest",)),
  "count": (("largest", "highest", "greatest"), ("smallest", "lowest")),
  "": (("highest", "largest", "greatest", "biggest"), ("lowest", "smallest")),
}  # fmt: skip
# The superlatives said of the thing itself: tag -> (highest, lowest).
THING_SUPERLATIVES = {
  "age": ("oldest", "youngest"), "price": ("most expensive", "cheapest"), "pay": ("highest-paid", "lowest-paid"), "height": ("tallest", "shortest"),
  "weight": ("heaviest", "lightest"), "duration": ("longest", "shortest"), "speed": ("fastest", "slowest"), "birth": ("youngest", "oldest"),
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
ASCENDING_TEXT = ("in alphabetical order", "alphabetically", "in ascending order", "from A to Z", "ascending")
DESCENDING_TEXT = ("in reverse alphabetical order", "in descending alphabetical order", "from Z to A", "in descending order")
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
TOTAL = ("total", "total", "total", "combined", "sum of the", "sum of the")

# Prepositions towards a parent row, by the last word of its noun.
PLACES = frozenset(
  """city country room hall venue station airport department building store shop branch hospital clinic school university college library museum
  gallery stadium theater theatre cinema hotel restaurant office warehouse factory district county state region province town village
  campus neighborhood location stage floor ward market farm park area continent section league division team club list playlist""".split()
)
MAKERS = frozenset(
  """author writer artist director producer composer manufacturer maker publisher painter designer developer builder singer musician band
  performer photographer architect supplier""".split()
)
EVENTS = frozenset(
  "season year festival event tournament competition race concert semester term conference show exhibition game match".split()
)

# Event tables between a doer and a thing: noun of the event -> (what the doer did to the thing, what was done to it, participle, base form).
EVENT_VERBS = {
  "loan": ("borrowed", "borrowed by", "borrowed", "borrow"), "rental": ("rented", "rented by", "rented", "rent"),
  "reservation": ("reserved", "reserved by", "reserved", "reserve"), "booking": ("booked", "booked by", "booked", "book"),
  "purchase": ("bought", "bought by", "bought", "buy"), "order": ("ordered", "ordered by", "ordered", "order"), "review": ("reviewed", "reviewed by", "reviewed", "review"),
  "rating": ("rated", "rated by", "rated", "rate"), "visit": ("visited", "visited by", "visited", "visit"), "checkout": ("checked out", "checked out by", "checked out", "check out"),
  "subscription": ("subscribed to", "subscribed to by", "subscribed to", "subscribe to"), "enrollment": ("enrolled in", "taken by", "taken", "enroll in"),
  "enrolment": ("enrolled in", "taken by", "taken", "enroll in"), "registration": ("registered for", "taken by", "taken", "register for"),
  "attendance": ("attended", "attended by", "attended", "attend"), "inspection": ("inspected", "inspected by", "inspected", "inspect"),
  "adoption": ("adopted", "adopted by", "adopted", "adopt"), "like": ("liked", "liked by", "liked", "like"), "application": ("applied for", "applied for by", "applied for", "apply for"),
}  # fmt: skip
# Makers and what they make: noun of the maker -> (past, participle, base form).
MAKER_VERBS = {
  "author": ("wrote", "written", "write"), "writer": ("wrote", "written", "write"), "director": ("directed", "directed", "direct"),
  "producer": ("produced", "produced", "produce"), "composer": ("composed", "composed", "compose"), "manufacturer": ("made", "made", "make"),
  "maker": ("made", "made", "make"), "publisher": ("published", "published", "publish"), "painter": ("painted", "painted", "paint"),
  "designer": ("designed", "designed", "design"), "developer": ("developed", "developed", "develop"), "builder": ("built", "built", "build"),
  "architect": ("designed", "designed", "design"), "photographer": ("took", "taken", "take"),
}  # fmt: skip
WORKS = frozenset("song album track concert performance show record recording single painting artwork sculpture book article paper film movie photo video "
                  "poem play musical episode invoice exhibition exhibit product item part shipment".split())  # fmt: skip
MEETINGS = frozenset("visit appointment consultation session lesson meeting interview checkup".split())
WORKERS = frozenset(
  "doctor physician nurse employee worker staff teacher instructor professor lecturer clerk engineer technician manager librarian driver officer".split()
)

# What people do with a thing they own or make: noun of the thing -> (past, participle, base form).
DEEDS = {
  "order": ("placed", "placed", "place"), "purchase": ("made", "made", "make"), "payment": ("made", "made", "make"),
  "donation": ("made", "made", "make"), "booking": ("made", "made", "make"), "reservation": ("made", "made", "make"),
  "review": ("wrote", "written", "write"), "comment": ("wrote", "written", "write"), "article": ("wrote", "written", "write"),
  "visit": ("had", "had", "have"), "appointment": ("had", "had", "have"), "loan": ("had", "had", "have"), "ticket": ("bought", "bought", "buy"),
  "treatment": ("received", "received", "receive"), "prescription": ("received", "received", "receive"), "award": ("won", "won", "win"),
  "prize": ("won", "won", "win"), "medal": ("won", "won", "win"), "course": ("took", "taken", "take"), "class": ("took", "taken", "take"),
  "performance": ("gave", "given", "give"), "complaint": ("filed", "filed", "file"), "claim": ("filed", "filed", "file"),
  "rating": ("gave", "given", "give"), "rental": ("made", "made", "make"), "transaction": ("made", "made", "make"),
}  # fmt: skip

NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
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
