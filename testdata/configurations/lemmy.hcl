# nginx: LemmyNet/lemmy, docker/nginx.conf
host "lemmy.localhost" {
  upstream        = 1234
  max_body        = "20MB"
  compress        = true
  request_headers = { X-Real-IP = "{client}" }
  response_headers = {
    X-Frame-Options        = "SAMEORIGIN"
    X-Content-Type-Options = "nosniff"
  }

  route "/" {
    upstream = service.lemmy
    match    = { methods = ["POST"] }
  }
  route "/" {
    upstream = service.lemmy
    match    = { headers = { Accept = "application/activity+json" } }
  }
  route "/" {
    upstream = service.lemmy
    match    = { headers = { Accept = "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"" } }
  }
  route "/api" { upstream = service.lemmy }
  route "/pictrs" { upstream = service.lemmy }
  route "/feeds" { upstream = service.lemmy }
  route "/nodeinfo" { upstream = service.lemmy }
  route "/.well-known" { upstream = service.lemmy }
}

service "lemmy" { upstream = 8536 }

#> GET /c/main | / | :1234 /c/main
#> POST /inbox | / (POST) | :8536 /inbox | X-Real-Ip: 127.0.0.1
#> GET /api/v3/site | /api | :8536 /api/v3/site
#> GET /.well-known/webfinger?resource=a | /.well-known | :8536 /.well-known/webfinger?resource=a
