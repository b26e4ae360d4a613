"""How booking on the public pages is refused."""

from clinic.audit.states import Refused


class NotOffered(Refused):
    """The time is not one that a visitor may choose: too soon, too far away, or not on the page."""

    sentence = "That time can no longer be booked here. Please choose another."


class NoWayToAnswer(Refused):
    """Without an address or a number nobody can be told anything."""

    sentence = "Please give an email address or a mobile number, so that we can confirm the visit."


class NotAName(Refused):
    """A name with an address in it: what is typed here stands in a letter to somebody."""

    sentence = "Please give a name only, without an address."


class TooMany(Refused):
    """Too many bookings from one place, or for one address."""

    sentence = "Many visits were booked from here lately. Please ring us to book another."
