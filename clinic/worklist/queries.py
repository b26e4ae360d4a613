"""What is to do, and what was done."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from clinic.staff.models import User
from clinic.worklist.models import Task
from clinic.worklist.states import TaskStatus

DONE_SHOWN_FOR = timedelta(days=14)
LONGEST_LIST = 200


def tasks_to_do(user: User, at: datetime, *, only_mine: bool = False) -> QuerySet[Task]:
    """Return what waits for the person or their roles, longest overdue first; `is_overdue` says what is late."""
    tasks = Task.objects.visible_to(user).unfinished().select_related("location", "owner")
    if only_mine:
        tasks = tasks.filter(owner=user)
    return tasks.annotate(is_overdue=Q(due_at__lt=at)).order_by("due_at", "pk")[:LONGEST_LIST]


def tasks_done(user: User, at: datetime) -> QuerySet[Task]:
    """Return what was finished in the last two weeks, latest first."""
    done = Task.objects.visible_to(user).filter(status=TaskStatus.COMPLETED, done_at__gt=at - DONE_SHOWN_FOR)
    return done.select_related("location", "owner", "done_by").order_by("-done_at", "-pk")[:LONGEST_LIST]
