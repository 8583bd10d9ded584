"""Who takes part, and how it came to."""

from belvedere.observatory.members.models.joining import Bearing, Enrolment, EnrolmentState, Fee, FeeInvoice
from belvedere.observatory.members.models.parties import Federation, Group, Member, Move, SenderKey

__all__ = ["Bearing", "Enrolment", "EnrolmentState", "Federation", "Fee", "FeeInvoice", "Group", "Member", "Move", "SenderKey"]
