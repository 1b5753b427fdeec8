import os

from flask import Flask

app = Flask(__name__, static_folder="static")


@app.get("/")
def index():
    return (
        '<!doctype html><title>shop</title><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="/static/style.css"><h1 id="headline">before</h1>'
    )


@app.get("/boom")
def boom():
    secret = os.environ["APP_SECRET"]
    raise RuntimeError(f"no such {len(secret)}")
