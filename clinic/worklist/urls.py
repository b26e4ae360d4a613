from django.urls import path

from clinic.worklist import views

urlpatterns = [
    path("tasks/", views.tasks, name="tasks"),
    path("tasks/<uuid:ref>/", views.task, name="task"),
    path("tasks/<uuid:ref>/take/", views.take, name="task_take"),
    path("tasks/<uuid:ref>/give-back/", views.give_back, name="task_give_back"),
    path("tasks/<uuid:ref>/reopen/", views.reopen, name="task_reopen"),
]
