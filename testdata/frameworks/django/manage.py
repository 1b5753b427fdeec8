import json
import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware, get_token
from django.template import engines
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
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
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


# URLS knows only the address that it is requested at, which is local.
URLS = """<!doctype html><title>shop</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="{{ local }}static/style.css"><link rel="canonical" href="{{ local }}">
<h1 id="headline">urls</h1><a id="next" href="/login?next={{ local|urlencode:'' }}">Sign in</a>
{{ state|json_script:"state" }}
<form id="form" enctype="multipart/form-data"><input type="hidden" name="csrfmiddlewaretoken" value="{{ token }}">
<input name="back" id="back"><input type="file" name="upload"></form>
<script>
  const state = JSON.parse(document.querySelector('#state').textContent)
  const form = document.querySelector('#form')
  window.facts = {
    state: state.url, list: state.list[1], script: '{{ local|escapejs }}',
    canonical: document.querySelector('link[rel=canonical]').href,
    next: decodeURIComponent(document.querySelector('#next').search.slice('?next='.length)),
    sheet: document.styleSheets[0].href,
  }
  const send = (name, body, headers) =>
    fetch('{{ path }}', { method: 'POST', body, headers: { 'X-CSRFToken': form.csrfmiddlewaretoken.value, ...headers } })
      .then((response) => response.json())
      .then((got) => (window.facts[name] = got.same && got.url === location.href))
  document.querySelector('#back').value = location.href
  send('posted', JSON.stringify({ back: location.href }), { 'Content-Type': 'application/json' })
  send('parts', new FormData(form))
  send('form', new URLSearchParams({ back: location.href }))
</script>"""


def urls(request):
    local = request.build_absolute_uri("/")
    own = request.build_absolute_uri()
    if request.method == "POST":
        body = json.loads(request.body) if request.content_type == "application/json" else request.POST
        # Pages have https, and the server was told http.
        return JsonResponse({"url": own, "same": body["back"].replace("https:", "http:") == own})
    context = {"local": local, "path": request.path, "token": get_token(request), "state": {"url": local, "list": ['"', local]}}
    return HttpResponse(engines["django"].from_string(URLS).render(context))


def boom(request):
    raise RuntimeError("no such")


urlpatterns = [path("", index), path("urls", urls), path("boom", boom)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
