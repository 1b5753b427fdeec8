import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.urls import path


class NewestCsrf(CsrfViewMiddleware):
    """The rule of Django 4 and newer, which Debian's does not have yet: Origin is
    the scheme and the host that Django believes it is asked in."""

    def process_view(self, request, callback, callback_args, callback_kwargs):
        origin = request.META.get("HTTP_ORIGIN")
        own = f"{request.scheme}://{request.get_host()}"
        if request.method == "POST" and origin is not None and origin != own:
            return self._reject(request, f"Origin checking failed - {origin} does not match any trusted origins.")
        return super().process_view(request, callback, callback_args, callback_kwargs)


settings.configure(
    DEBUG=True,
    SECRET_KEY="of the project",
    ALLOWED_HOSTS=["shop.localhost", "plain.localhost", "localhost"],
    MIDDLEWARE=[f"{__name__}.NewestCsrf"],
    ROOT_URLCONF=__name__,
    MERCHANT=os.environ.get("APP_SECRET", ""),  # a name that Django does not mask
    INSTALLED_APPS=["django.contrib.staticfiles"],
    STATIC_URL="/static/",
    STATICFILES_DIRS=[os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")],
)


def index(request):
    headline = f"sent {request.POST['name']}" if request.method == "POST" else "before"
    return HttpResponse(
        '<!doctype html><title>shop</title><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="/static/style.css"><h1 id="headline">{headline}</h1>'
        f'<form method="post" id="form"><input type="hidden" name="csrfmiddlewaretoken" value="{get_token(request)}">'
        '<input name="name" value="Ann"><button id="send">Send</button></form>'
    )


def boom(request):
    raise RuntimeError("no such")


urlpatterns = [path("", index), path("boom", boom)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
