# nginx: Chocobozzz/PeerTube, support/nginx/peertube
locals {
  storage = "storage"
}

host "peertube.localhost" {
  upstream        = 9000
  max_body        = "100kB"
  compress        = true
  request_headers = { X-Real-IP = "{client}" }

  route "/api/v1/videos/upload" {
    exact            = true
    match            = { methods = ["POST", "HEAD"] }
    max_body         = "8GB"
    response_headers = { X-File-Maximum-Size = "8G" }
  }
  route "/api/v1/videos/upload" {
    exact   = true
    respond = 403
  }
  route "/client" {
    upstream         = 9000
    try_files        = "client/dist"
    response_headers = { Cache-Control = "public, max-age=31536000, immutable" }
  }
  route "/static/thumbnails" {
    upstream  = 9000
    try_files = "${local.storage}/thumbnails"
    cors      = ["*"]
  }
  route "/static/webseed" {
    upstream  = 9000
    try_files = "${local.storage}/videos"
    cors      = ["*"]
  }
}

#+ client/dist/main.js
#+ storage/thumbnails/a.jpg
#+ storage/videos/a.mp4

#> POST /api/v1/videos/upload | /api/v1/videos/upload (exact; HEAD, POST) | :9000 /api/v1/videos/upload
#> GET /api/v1/videos/upload | /api/v1/videos/upload (exact) | 403
#> GET /api/v1/videos | / | :9000 /api/v1/videos | X-Real-Ip: 127.0.0.1
#> GET /client/main.js | /client | try_files client/dist /main.js
#> GET /client/gone.js | /client | :9000 /client/gone.js
#> GET /static/webseed/a.mp4 | /static/webseed | try_files storage/videos /a.mp4
#> OPTIONS /static/webseed/a.mp4 | /static/webseed | :9000 /static/webseed/a.mp4
#> GET /tracker/socket | / | :9000 /tracker/socket
