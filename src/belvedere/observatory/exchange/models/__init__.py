"""Everything the exchange hub stores; contents of persons only under the key of the hub."""

from belvedere.observatory.exchange.models.bulk import Bulk, BulkFile, BulkState
from belvedere.observatory.exchange.models.deposits import Alias, Deposit, DepositPerson, DepositState, Person, Resource
from belvedere.observatory.exchange.models.moves import FileState, Move, MoveFile, MoveState
from belvedere.observatory.exchange.models.packages import (
    TOLD,
    Baseline,
    CountsWord,
    Dataset,
    DatasetState,
    Export,
    ExportKind,
    ExportState,
    RetentionRule,
    Transfer,
    TransferState,
)
from belvedere.observatory.exchange.models.parties import (
    Concept,
    Establishment,
    Formerly,
    Offer,
    Party,
    PartyCertificate,
    PartyKey,
    PersonLink,
    Picture,
)
from belvedere.observatory.exchange.models.policy import KEPT_FOR_GOOD, MatrixVersion, Proposal, Stated
from belvedere.observatory.exchange.models.subscriptions import Delivery, Event, Subscription, SubscriptionState
from belvedere.observatory.exchange.models.uptime import Uptime

__all__ = [
    "KEPT_FOR_GOOD", "TOLD", "Alias", "Baseline", "Bulk", "BulkFile", "BulkState", "Concept", "CountsWord", "Dataset", "DatasetState", "Delivery", "Deposit", "DepositPerson", "DepositState", "Establishment", "Event", "Export", "ExportKind", "ExportState", "FileState", "Formerly", "MatrixVersion", "Move", "MoveFile", "MoveState", "Offer", "Party", "PartyCertificate", "PartyKey", "Person",
    "PersonLink", "Picture", "Proposal", "Resource", "RetentionRule", "Stated", "Subscription", "SubscriptionState", "Transfer", "TransferState", "Uptime",
]  # fmt: skip
