import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path

settings.configure(
    DEBUG=True,
    SECRET_KEY="of the project",
    ALLOWED_HOSTS=["shop.localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    MERCHANT=os.environ.get("APP_SECRET", ""),  # a name that Django does not mask
    INSTALLED_APPS=["django.contrib.staticfiles"],
    STATIC_URL="/static/",
    STATICFILES_DIRS=[os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")],
)


def index(request):
    return HttpResponse(
        '<!doctype html><title>shop</title><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="/static/style.css"><h1 id="headline">before</h1>'
    )


def boom(request):
    raise RuntimeError("no such")


urlpatterns = [path("", index), path("boom", boom)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
