"""The services that every biller meets (SESAM-Vitale reference §2 to §4): the real parts for real, outside parties by declared simulators."""

BANNER = "simulateur – forme des messages reconstituée"
