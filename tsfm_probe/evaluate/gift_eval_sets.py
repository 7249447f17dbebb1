"""The data sets of GIFT-Eval and the configurations of them that its leaderboard holds."""

from dataclasses import dataclass

TERMS = {"short": 1, "medium": 10, "long": 15}
"""The terms, and by how much each multiplies the horizon."""
SHORTENED = {
    "saugeenday": "saugeen",
    "temperature_rain_with_missing": "temperature_rain",
    "kdd_cup_2018_with_missing": "kdd_cup_2018",
    "car_parts_with_missing": "car_parts",
}
"""Names that differ in the results."""
SETS = """
m4_yearly A Econ/Fin 1
m4_quarterly Q Econ/Fin 1
m4_monthly M Econ/Fin 1
m4_weekly W Econ/Fin 1
m4_daily D Econ/Fin 1
m4_hourly H Econ/Fin 1
electricity/15T 15T Energy 1 all
electricity/H H Energy 1 all
electricity/D D Energy 1
electricity/W W Energy 1
solar/10T 10T Energy 1 all
solar/H H Energy 1 all
solar/D D Energy 1
solar/W W Energy 1
hospital M Healthcare 1
covid_deaths D Healthcare 1
us_births/D D Healthcare 1
us_births/M M Healthcare 1
us_births/W W Healthcare 1
saugeenday/D D Nature 1
saugeenday/M M Nature 1
saugeenday/W W Nature 1
temperature_rain_with_missing D Nature 1
kdd_cup_2018_with_missing/H H Nature 1 all
kdd_cup_2018_with_missing/D D Nature 1
car_parts_with_missing M Sales 1
restaurant D Sales 1
hierarchical_sales/D D Sales 1
hierarchical_sales/W W Sales 1
LOOP_SEATTLE/5T 5T Transport 1 all
LOOP_SEATTLE/H H Transport 1 all
LOOP_SEATTLE/D D Transport 1
SZ_TAXI/15T 15T Transport 1 all
SZ_TAXI/H H Transport 1
M_DENSE/H H Transport 1 all
M_DENSE/D D Transport 1
ett1/15T 15T Energy 7 all
ett1/H H Energy 7 all
ett1/D D Energy 7
ett1/W W Energy 7
ett2/15T 15T Energy 7 all
ett2/H H Energy 7 all
ett2/D D Energy 7
ett2/W W Energy 7
jena_weather/10T 10T Nature 21 all
jena_weather/H H Nature 21 all
jena_weather/D D Nature 21
bitbrains_fast_storage/5T 5T Web/CloudOps 2 all
bitbrains_fast_storage/H H Web/CloudOps 2
bitbrains_rnd/5T 5T Web/CloudOps 2 all
bitbrains_rnd/H H Web/CloudOps 2
bizitobs_application 10S Web/CloudOps 2 all
bizitobs_service 10S Web/CloudOps 2 all
bizitobs_l2c/5T 5T Web/CloudOps 7 all
bizitobs_l2c/H H Web/CloudOps 7 all
"""
"""A folder, the frequency in its key, domain, variates, and "all" if it has every term."""


@dataclass(frozen=True)
class Configuration:
    """One line of the leaderboard's results.

    folder: of the data, below the benchmark's. freq: as its key has it. term: of TERMS.
    domain, variates: what all_results.csv says of it.
    """

    folder: str
    freq: str
    term: str
    domain: str
    variates: int

    @property
    def key(self) -> str:
        """Its name in all_results.csv, such as "m4_hourly/H/short"."""
        name = self.folder.partition("/")[0].lower()
        return f"{SHORTENED.get(name, name)}/{self.freq}/{self.term}"


def official() -> tuple[Configuration, ...]:
    """All 97 configurations, the short ones first."""
    lines = [line.split() for line in SETS.strip().splitlines()]
    return tuple(
        Configuration(folder, freq, term, domain, int(variates))
        for term in TERMS
        for folder, freq, domain, variates, *more in lines
        if term == "short" or more
    )
