"""Demo domain `clinic`: a group of medical clinics, its doctors, its patients and what was
prescribed to them.

A clinic stands in a city and employs doctors, each of one specialty. A patient visits a doctor on a
day, mostly in a clinic of the patient's own city; the visit may end with a diagnosis and costs
about the fee of the doctor's specialty. Medicines are prescribed at a visit: `prescription` links
visits and medicines, many to many.

The rows are invented but shaped like real ones: a few cities, doctors and diagnoses take most of
the visits, there are more visits every year, some patients never came, some specialties have no
doctor, some medicines were never prescribed. Nullable columns hold NULLs, and some texts hold
spaces, apostrophes and double quotes.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

SCHEMA = """\
CREATE TABLE clinic (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  city TEXT NOT NULL,
  phone TEXT, -- NULL when calls go through the head office
  opened DATE NOT NULL -- day on which the clinic opened
);
CREATE TABLE specialty (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  fee INTEGER NOT NULL -- standard price of a visit in dollars
);
CREATE TABLE doctor (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  gender TEXT NOT NULL, -- F or M
  specialty_id INTEGER NOT NULL REFERENCES specialty (id),
  clinic_id INTEGER NOT NULL REFERENCES clinic (id),
  hired DATE NOT NULL, -- first day at the clinic
  salary INTEGER -- dollars a year, NULL for volunteers
);
CREATE TABLE patient (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  gender TEXT NOT NULL, -- F or M
  birth_date DATE NOT NULL,
  city TEXT NOT NULL, -- where the patient lives
  insurance TEXT -- insurance company, NULL when uninsured
);
CREATE TABLE visit (
  id INTEGER PRIMARY KEY,
  patient_id INTEGER NOT NULL REFERENCES patient (id),
  doctor_id INTEGER NOT NULL REFERENCES doctor (id),
  visit_date DATE NOT NULL,
  diagnosis TEXT, -- NULL when nothing was found
  cost INTEGER NOT NULL -- dollars
);
CREATE TABLE medicine (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL, -- tablet, capsule, syrup, cream, drops, spray, injection
  maker TEXT, -- company, NULL for generic medicines
  price REAL NOT NULL -- dollars a pack
);
CREATE TABLE prescription (
  visit_id INTEGER NOT NULL REFERENCES visit (id),
  medicine_id INTEGER NOT NULL REFERENCES medicine (id),
  dose INTEGER, -- milligrams a day, NULL when taken as needed
  days INTEGER NOT NULL, -- length of the treatment
  PRIMARY KEY (visit_id, medicine_id)
);
"""

# About 3,800 rows in all, half of them prescriptions.
NUM_DOCTORS = 62
NUM_PATIENTS = 440
NUM_VISITS = 1350
FIRST_DAY = datetime.date(2018, 1, 2)
LAST_DAY = datetime.date(2023, 12, 29)

# name, city, phone, opened, weight among the clinics of its city
CLINICS = (
  ("Riverton Medical Center", "Riverton", "555-0101", "1998-04-06", 6),
  ("St. Mary's Clinic", "Riverton", "555-0117", "2006-09-18", 3),
  ('The "Blue" House', "Riverton", None, "2015-02-02", 1),
  ("Oak Hill Family Practice", "Oak Hill", "555-0142", "2001-06-11", 4),
  ("Green Door Clinic", "Oak Hill", "555-0158", "2012-10-01", 2),
  ("Port Clare Health Center", "Port Clare", "555-0163", "2003-03-17", 5),
  ("Sailors' Rest", "Port Clare", None, "2010-08-23", 1),
  ("Ashford Surgery", "Ashford", "555-0179", "2008-01-14", 3),
  ("Lakeside Clinic", "Lakeside", "555-0184", "2011-05-09", 3),
  ("Maple Grove Care", "Maple Grove", None, "2016-11-21", 2),
  ("King's Gate Clinic", "St. Albans", "555-0196", "2013-07-08", 2),
  ('Fort Dane "Walk-In" Clinic', "Fort Dane", None, "2022-09-05", 1),
)

# name, fee, weight among the doctors (0: the group has no doctor of this specialty)
SPECIALTIES = (
  ("Family Medicine", 80, 17),
  ("Pediatrics", 95, 8),
  ("Cardiology", 210, 6),
  ("Dermatology", 140, 5),
  ("Orthopedics", 175, 6),
  ("Neurology", 230, 3),
  ("Psychiatry", 160, 4),
  ("Ophthalmology", 130, 4),
  ("Ear, Nose and Throat", 120, 3),
  ("Allergy", 110, 3),
  ("Gastroenterology", 190, 3),
  ("Oncology", 320, 0),
  ("Sports Medicine", 125, 0),
)

# specialty: diagnosis, weight; None is a check-up without findings
DIAGNOSES: dict[str, tuple[tuple[str | None, int], ...]] = {
  "Family Medicine": (
    (None, 10),
    ("flu", 12),
    ("cold", 10),
    ("high blood pressure", 8),
    ("diabetes", 6),
    ("back pain", 5),
  ),
  "Pediatrics": (
    (None, 8),
    ("flu", 8),
    ("ear infection", 7),
    ("cold", 6),
    ("asthma", 3),
    ("chickenpox", 2),
  ),
  "Cardiology": (
    ("high blood pressure", 9),
    (None, 4),
    ("irregular heartbeat", 3),
    ("chest pain", 3),
    ("heart failure", 2),
  ),
  "Dermatology": (("eczema", 6), ("acne", 5), ("athlete's foot", 3), ("psoriasis", 2), (None, 2)),
  "Orthopedics": (
    ("back pain", 7),
    ("knee pain", 5),
    ("tennis elbow", 3),
    ("broken wrist", 2),
    (None, 1),
  ),
  "Neurology": (("migraine", 7), (None, 2), ("epilepsy", 2), ("Parkinson's disease", 1)),
  "Psychiatry": (("anxiety", 6), ("depression", 5), ("insomnia", 3)),
  "Ophthalmology": (("dry eyes", 5), (None, 4), ("pink eye", 3), ("glaucoma", 2)),
  "Ear, Nose and Throat": (("sinusitis", 6), ("ear infection", 4), ("hearing loss", 2), (None, 1)),
  "Allergy": (("hay fever", 8), ("asthma", 4), ("food allergy", 2)),
  "Gastroenterology": (("heartburn", 6), ("stomach ulcer", 3), ("Crohn's disease", 1), (None, 1)),
}

# name, kind, maker, price, usual milligrams a day (None: as needed), usual number of days
MEDICINES = (
  ("Ibuprofen", "tablet", None, 6.5, 1200, 7),
  ("Paracetamol", "tablet", None, 4.25, 2000, 5),
  ("Aspirin", "tablet", "Bright & Sons", 3.8, 100, 30),
  ("Naproxen", "tablet", "Halden Pharma", 11.9, 500, 10),
  ("Amoxicillin", "capsule", "Halden Pharma", 14.75, 1500, 10),
  ("Azithromycin", "tablet", "Novera", 22.4, 500, 3),
  ("Cough Syrup", "syrup", "Bright & Sons", 8.95, None, 7),
  ("Children's Fever Syrup", "syrup", "Bright & Sons", 9.6, None, 5),
  ("Oseltamivir", "capsule", "Novera", 48.0, 150, 5),
  ("Lisinopril", "tablet", "Halden Pharma", 13.2, 20, 90),
  ("Amlodipine", "tablet", None, 12.1, 5, 90),
  ("Atenolol", "tablet", "O'Malley Labs", 15.3, 50, 60),
  ("Metformin", "tablet", None, 9.9, 1000, 90),
  ("Insulin", "injection", "Novera", 96.5, None, 30),
  ("Warfarin", "tablet", "O'Malley Labs", 18.6, 5, 60),
  ("Furosemide", "tablet", None, 7.4, 40, 30),
  ("Nitro Spray", "spray", "O'Malley Labs", 34.9, None, 30),
  ("Albuterol", "spray", "Novera", 29.5, None, 60),
  ("Budesonide", "spray", "Novera", 41.25, None, 60),
  ("Hydrocortisone Cream", "cream", None, 7.85, None, 14),
  ("Clotrimazole Cream", "cream", "Bright & Sons", 10.2, None, 21),
  ("Benzoyl Gel", "cream", "Halden Pharma", 12.75, None, 60),
  ("Methotrexate", "tablet", "O'Malley Labs", 52.3, 15, 90),
  ("Muscle Rub", "cream", "Bright & Sons", 6.1, None, 10),
  ("Sumatriptan", "tablet", "Novera", 38.7, None, 10),
  ("Topiramate", "tablet", "Halden Pharma", 44.1, 100, 90),
  ("Levetiracetam", "tablet", "Halden Pharma", 57.6, 1000, 90),
  ("Levodopa", "tablet", "O'Malley Labs", 63.4, 300, 90),
  ("Sertraline", "tablet", None, 16.9, 50, 90),
  ("Escitalopram", "tablet", "Novera", 19.8, 10, 90),
  ("Melatonin", "capsule", "Bright & Sons", 11.0, 3, 30),
  ("Artificial Tears", "drops", "Clearview", 9.15, None, 30),
  ("Antibiotic Eye Drops", "drops", "Clearview", 17.45, None, 7),
  ("Latanoprost", "drops", "Clearview", 36.2, None, 90),
  ("Ear Drops", "drops", "Bright & Sons", 8.3, None, 7),
  ("Nasal Spray", "spray", None, 10.8, None, 14),
  ("Cetirizine", "tablet", None, 7.1, 10, 30),
  ("Loratadine", "tablet", "Bright & Sons", 8.6, 10, 30),
  ("Adrenaline Pen", "injection", "Novera", 110.0, None, 1),
  ("Omeprazole", "capsule", None, 10.5, 20, 28),
  ("Antacid", "syrup", "Bright & Sons", 5.4, None, 14),
  ("Prednisone", "tablet", "Halden Pharma", 13.9, 20, 14),
  ("Calamine Lotion", "cream", "Bright & Sons", 5.95, None, 10),
  ('Vitamin "Sunshine" D', "drops", "Clearview", 12.35, None, 90),
  ("Zinc", "tablet", "Bright & Sons", 6.85, 25, 30),
  ("Morphine", "injection", "O'Malley Labs", 72.0, 30, 5),
  ("Quinine", "tablet", "O'Malley Labs", 27.7, 600, 7),
)

# diagnosis: medicines, the usual one first; those not named here are treated without medicines
TREATMENTS = {
  "flu": ("Paracetamol", "Oseltamivir", "Cough Syrup", "Children's Fever Syrup"),
  "cold": ("Nasal Spray", "Paracetamol", "Cough Syrup", "Zinc"),
  "high blood pressure": ("Lisinopril", "Amlodipine", "Aspirin", "Atenolol"),
  "diabetes": ("Metformin", "Insulin"),
  "back pain": ("Ibuprofen", "Muscle Rub", "Naproxen"),
  "ear infection": ("Amoxicillin", "Ear Drops", "Ibuprofen"),
  "asthma": ("Albuterol", "Budesonide", "Prednisone"),
  "chickenpox": ("Calamine Lotion", "Paracetamol"),
  "irregular heartbeat": ("Warfarin", "Atenolol"),
  "chest pain": ("Aspirin", "Nitro Spray"),
  "heart failure": ("Furosemide", "Lisinopril", "Atenolol"),
  "eczema": ("Hydrocortisone Cream", "Cetirizine"),
  "acne": ("Benzoyl Gel", "Azithromycin"),
  "athlete's foot": ("Clotrimazole Cream",),
  "psoriasis": ("Methotrexate", "Hydrocortisone Cream"),
  "knee pain": ("Naproxen", "Ibuprofen", "Muscle Rub"),
  "tennis elbow": ("Ibuprofen", "Muscle Rub"),
  "broken wrist": ("Paracetamol", "Naproxen"),
  "migraine": ("Sumatriptan", "Topiramate", "Ibuprofen"),
  "epilepsy": ("Levetiracetam", "Topiramate"),
  "Parkinson's disease": ("Levodopa",),
  "anxiety": ("Escitalopram", "Sertraline"),
  "depression": ("Sertraline", "Escitalopram", "Melatonin"),
  "insomnia": ("Melatonin",),
  "dry eyes": ("Artificial Tears",),
  "pink eye": ("Antibiotic Eye Drops", "Artificial Tears"),
  "glaucoma": ("Latanoprost",),
  "sinusitis": ("Nasal Spray", "Amoxicillin", "Ibuprofen"),
  "hay fever": ("Cetirizine", "Loratadine", "Nasal Spray"),
  "food allergy": ("Cetirizine", "Adrenaline Pen"),
  "heartburn": ("Omeprazole", "Antacid"),
  "stomach ulcer": ("Omeprazole", "Amoxicillin", "Antacid"),
  "Crohn's disease": ("Prednisone", "Omeprazole"),
  None: ('Vitamin "Sunshine" D',),
}

# cities of the patients; Hollow Creek and New Haven have no clinic of the group
CITIES = (
  ("Riverton", 30),
  ("Oak Hill", 17),
  ("Port Clare", 16),
  ("Ashford", 11),
  ("Lakeside", 9),
  ("Maple Grove", 6),
  ("St. Albans", 5),
  ("Hollow Creek", 4),
  ("New Haven", 2),
)

INSURANCES = (
  ("Harbor Health", 30),
  ("Blue Shield", 22),
  (None, 18),
  ("Farmers' Mutual", 14),
  ("Summit Care", 10),
  ("First Union", 6),
)

FEMALE_NAMES = (
  "Emma Olivia Grace Hannah Sofia Maria Lucy Nora Alice Clara Amara Priya Mei Fatima Elena Ruth "
  "Ingrid Yuki Leila Rosa Helen Martha Julia Irene Bella Zoe Naomi Diana Carmen Esther Greta "
  "Wanda Paula Tessa Vera Joan"
)
MALE_NAMES = (
  "Liam Noah James Henry Oliver Lucas Daniel Omar Ravi Wei Carlos Peter Samuel Victor Hugo Ivan "
  "Felix Martin George Thomas Arthur Diego Kenji Paul Simon Walter Frank Edgar Nathan Oscar "
  "Ahmed Leo Bruno Albert Stefan Colin"
)
LAST_NAMES = (
  "Smith|Johnson|Garcia|Brown|Miller|Nguyen|Patel|Kim|O'Brien|Martinez|Clark|Lewis|Khan|Silva|"
  "Novak|Rossi|D'Angelo|Fischer|Larsen|Okafor|Tanaka|van Dyke|Moreau|Ali|Walker|Hall|Young|King|"
  "Wright|Scott|Green|Baker|Adams|Nelson|Carter|Mitchell|Turner|Parker|Cook|Bell|Reed|Ward|Cox|"
  "Gray|Price|Wood|O'Connor|Petrov|Haddad|de la Cruz|Lund|Stone|Fox|Marsh"
)
NICKNAMES = ("Ace", "Bee", "Red", "Sunny", "Tiny", "Doc", "Kit", "Junior")


def rows(rng: random.Random) -> dict[str, list[tuple]]:
  """Returns the rows of every table, tables in foreign-key order, columns as in `SCHEMA`.

  Args:
    rng: the only source of randomness; the same state gives the same rows.
  """
  names = _Names(rng)
  clinics = [
    (i, name, city, phone, opened) for i, (name, city, phone, opened, _) in enumerate(CLINICS, 1)
  ]
  specialties = [(i, name, fee) for i, (name, fee, _) in enumerate(SPECIALTIES, 1)]
  doctors = _doctors(rng, names)
  patients = _patients(rng, names)
  visits = _visits(rng, doctors, patients)
  medicines = [
    (i, name, kind, maker, price) for i, (name, kind, maker, price, _, _) in enumerate(MEDICINES, 1)
  ]
  return {
    "clinic": clinics,
    "specialty": specialties,
    "doctor": doctors,
    "patient": patients,
    "visit": visits,
    "medicine": medicines,
    "prescription": _prescriptions(rng, visits),
  }


class _Names:
  """Draws names of people, none twice: a name then identifies one person in a question."""

  def __init__(self, rng: random.Random):
    self._rng = rng
    self._first = {"F": FEMALE_NAMES.split(), "M": MALE_NAMES.split()}
    self._last = LAST_NAMES.split("|")
    self._used: set[tuple[str, str]] = set()

  def draw(self, gender: str, nickname_rate: float = 0.0) -> str:
    while True:
      first = _skewed(self._rng, self._first[gender])
      last = _skewed(self._rng, self._last)
      if (first, last) not in self._used:
        break
    self._used.add((first, last))
    if self._rng.random() < nickname_rate:
      return f'{first} "{self._rng.choice(NICKNAMES)}" {last}'
    return f"{first} {last}"


def _doctors(rng: random.Random, names: _Names) -> list[tuple]:
  doctors = []
  for i in range(1, NUM_DOCTORS + 1):
    gender = "F" if rng.random() < 0.55 else "M"
    # The first doctors cover every specialty and every clinic once; the others follow the weights.
    staffed = [s for s, (_, _, weight) in enumerate(SPECIALTIES, 1) if weight]
    specialty = (
      staffed[i - 1]
      if i <= len(staffed)
      else _weighted(rng, [(s, SPECIALTIES[s - 1][2]) for s in staffed])
    )
    clinic = (
      i if i <= len(CLINICS) else _weighted(rng, [(c, row[4]) for c, row in enumerate(CLINICS, 1)])
    )
    opened = datetime.date.fromisoformat(CLINICS[clinic - 1][3])
    earliest = max(opened, datetime.date(2004, 1, 5))
    hired = earliest + datetime.timedelta(
      days=int((datetime.date(2023, 6, 1) - earliest).days * rng.random())
    )
    years = (LAST_DAY - hired).days / 365
    fee = SPECIALTIES[specialty - 1][1]
    salary = 70_000 + 420 * fee + int(1_800 * years) + 100 * rng.randint(-120, 180)
    name = names.draw(gender)
    doctors.append(
      (
        i,
        name,
        gender,
        specialty,
        clinic,
        hired.isoformat(),
        None if rng.random() < 0.1 else salary,
      )
    )
  return doctors


def _patients(rng: random.Random, names: _Names) -> list[tuple]:
  patients = []
  for i in range(1, NUM_PATIENTS + 1):
    gender = "F" if rng.random() < 0.53 else "M"
    # Every fifth patient is a child; the ages of the others lean towards the old.
    age = 16 * rng.random() if rng.random() < 0.2 else 18 + 72 * max(rng.random(), rng.random())
    born = FIRST_DAY - datetime.timedelta(days=int(365.25 * age))
    insurance = _weighted(rng, INSURANCES)
    patients.append(
      (i, names.draw(gender, 0.03), gender, born.isoformat(), _weighted(rng, CITIES), insurance)
    )
  return patients


def _visits(rng: random.Random, doctors: list[tuple], patients: list[tuple]) -> list[tuple]:
  span = (LAST_DAY - FIRST_DAY).days
  # The exponent below 1 draws the days towards the end: there are more visits every year.
  days = sorted(
    FIRST_DAY + datetime.timedelta(days=int(span * rng.random() ** 0.6)) for _ in range(NUM_VISITS)
  )
  frequency = [
    (patient, 0.5 + 2 * rng.random() ** 4) for patient in patients if rng.random() < 0.95
  ]
  # A few doctors see nobody: on leave, or with an office to run.
  popularity = {
    doctor[0]: 0.2 + rng.random() ** 2 if rng.random() < 0.93 else 0.0 for doctor in doctors
  }
  visits = []
  for i, day in enumerate(days, 1):
    day -= datetime.timedelta(days=max(0, day.weekday() - 4))  # Clinics are closed at weekends.
    patient = _weighted(rng, frequency)
    age = (day - datetime.date.fromisoformat(patient[3])).days / 365.25
    doctor = _weighted(
      rng, [(d, popularity[d[0]] * _affinity(d, patient, age, day)) for d in doctors]
    )
    specialty, fee, _ = SPECIALTIES[doctor[3] - 1]
    diagnosis = _weighted(rng, DIAGNOSES[specialty])
    cost = int(fee * (0.7 + 0.6 * rng.random())) + (
      0 if rng.random() < 0.9 else rng.randint(60, 700)
    )
    visits.append((i, patient[0], doctor[0], day.isoformat(), diagnosis, cost))
  return visits


def _affinity(doctor: tuple, patient: tuple, age: float, day: datetime.date) -> float:
  """Returns how likely a patient of this age sees this doctor on this day; 0 when impossible."""
  if doctor[5] > day.isoformat():
    return 0.0
  specialty = SPECIALTIES[doctor[3] - 1][0]
  city = CLINICS[doctor[4] - 1][1]
  near = 8.0 if city == patient[4] else 0.6
  if specialty == "Pediatrics":
    return 4 * near if age < 16 else 0.0
  if age < 16:
    return 0.3 * near
  return near * (1.5 if specialty == "Family Medicine" else 1.0)


def _prescriptions(rng: random.Random, visits: list[tuple]) -> list[tuple]:
  ids = {row[0]: i for i, row in enumerate(MEDICINES, 1)}
  prescriptions = []
  for visit_id, _, _, _, diagnosis, _ in visits:
    options = TREATMENTS.get(diagnosis, ())
    rates = (0.85, 0.5, 0.35, 0.2) if diagnosis else (0.15,)
    for name, rate in zip(options, rates, strict=False):
      if rng.random() >= rate:
        continue
      _, _, _, _, dose, days = MEDICINES[ids[name] - 1]
      # Doubled and halved doses occur; a twentieth of the regular ones is to be taken as needed.
      dose = (
        None
        if dose is None or rng.random() < 0.05
        else int(dose * rng.choice((0.5, 1, 1, 1, 2)) + 0.5)
      )
      prescriptions.append(
        (visit_id, ids[name], dose, max(1, int(days * rng.choice((0.5, 1, 1, 1, 1, 2)))))
      )
  return prescriptions


def _weighted(rng: random.Random, choices: Sequence[tuple[T, float]]) -> T:
  """Draws one value of (value, weight) pairs."""
  values = [value for value, _ in choices]
  return rng.choices(values, weights=[weight for _, weight in choices])[0]


def _skewed(rng: random.Random, words: list[str]) -> str:
  """Draws a word, the first ones about four times as often as the last ones."""
  return rng.choices(words, weights=[1 / (i + len(words) / 3) for i in range(len(words))])[0]
