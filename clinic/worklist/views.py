from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from clinic.audit.states import Refused
from clinic.staff.access import staff
from clinic.staff.http import StaffRequest
from clinic.staff.models import User
from clinic.staff.states import Permission
from clinic.worklist.actions import finish_by_hand, give_back_task, reopen_task, take_task
from clinic.worklist.forms import FinishForm
from clinic.worklist.models import Task
from clinic.worklist.queries import tasks_done, tasks_to_do
from clinic.worklist.states import ENDS_WITH_ITS_WORK, WAYS, Way


@staff(Permission.SEE_TASKS)
@require_safe
def tasks(request: StaffRequest) -> HttpResponse:
    """What waits for the person and their roles, longest overdue first; or what was done lately."""
    at, shown = timezone.now(), request.GET.get("show", "all")
    found = (
        tasks_done(request.user, at) if shown == "done" else tasks_to_do(request.user, at, only_mine=shown == "mine")
    )
    return render(request, "clinic/worklist/tasks.html", {"tasks": list(found), "shown": shown})


@staff(Permission.SEE_TASKS)
@require_http_methods(["GET", "HEAD", "POST"])
def task(request: StaffRequest, ref: UUID) -> HttpResponse:
    """One task; POST finishes it with what came of it."""
    row = _visible(request, ref)
    form = FinishForm(request.POST if request.method == "POST" else None, task=row)
    if request.method == "POST" and form.is_valid():
        try:
            finish_by_hand(task=row, outcome=form.cleaned_data["outcome"], by=request.actor, at=timezone.now())
        except Refused as refused:
            form.add_error(refused.field, refused.for_people)
        else:
            messages.success(request, _("Done: %(title)s") % {"title": row.title})
            return redirect("tasks")
    status = 422 if form.errors else 200
    way, address = _way(row, request.user)
    context = {
        "task": row,
        "form": form,
        "way": way,
        "address": address,
        "by_hand": row.kind not in ENDS_WITH_ITS_WORK,
        "is_overdue": row.due_at < timezone.now(),
    }
    return render(request, "clinic/worklist/task.html", context, status=status)


@staff(Permission.SEE_TASKS)
@require_POST
def take(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The task is the person's own from here on."""
    return _act(request, ref, take_task, _("Yours now: %(title)s"))


@staff(Permission.SEE_TASKS)
@require_POST
def give_back(request: StaffRequest, ref: UUID) -> HttpResponse:
    """The task waits for anyone of its role again."""
    return _act(request, ref, give_back_task, _("Back on the list: %(title)s"))


@staff(Permission.SEE_TASKS)
@require_POST
def reopen(request: StaffRequest, ref: UUID) -> HttpResponse:
    """A task finished by mistake is on the list again."""
    return _act(request, ref, reopen_task, _("On the list again: %(title)s"))


def _way(row: Task, user: User) -> tuple[Way | None, str]:
    """Return where the work of the task is done and its address, if the person may go there."""
    kind, _colon, ref = row.about.partition(":")
    way = WAYS.get(kind)
    if way is None or not user.may(way.needs):
        return None, ""
    return way, reverse(way.page, args=[ref])


def _visible(request: StaffRequest, ref: UUID) -> Task:
    rows = Task.objects.visible_to(request.user).select_related("location", "owner", "done_by")
    return get_object_or_404(rows, ref=ref)


def _act(request: StaffRequest, ref: UUID, action, said: str) -> HttpResponse:
    row = _visible(request, ref)
    try:
        action(task=row, by=request.actor, at=timezone.now())
    except Refused as refused:
        messages.error(request, refused.for_people)
    else:
        messages.success(request, said % {"title": row.title})
    return redirect("tasks")
