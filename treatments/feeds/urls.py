from django.urls import path

from treatments.feeds import views

urlpatterns = [
    path("f/<str:token>/visits.ics", views.feed, name="feed"),
    path("my-calendar/", views.my_feed, name="my_feed"),
    path("my-calendar/close/", views.my_feed_close, name="my_feed_close"),
    path("feeds/<uuid:ref>/close/", views.feed_close, name="feed_close"),
    path("export/", views.export, name="export"),
]
