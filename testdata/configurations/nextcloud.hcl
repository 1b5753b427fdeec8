# Caddy: nextcloud/all-in-one, Containers/apache/Caddyfile
host "nextcloud.localhost" {
  upstream         = 8000
  response_headers = { Server = null, X-Powered-By = null }

  route "/browser" { upstream = service.collabora }
  route "/hosting" { upstream = service.collabora }
  route "/cool" { upstream = service.collabora }
  route "/push" {
    upstream     = 7867
    strip_prefix = true
  }
  route "/onlyoffice" {
    upstream        = 8082
    strip_prefix    = true
    request_headers = { X-Forwarded-Host = "{host}/onlyoffice" }
  }
  route "/standalone-signaling" {
    upstream     = 8081
    strip_prefix = true
  }
  route "/whiteboard" {
    upstream     = 3002
    strip_prefix = true
  }
  route "/.well-known/carddav" {
    redirect = "/remote.php/dav/"
    status   = 301
    exact    = true
  }
  route "/.well-known/caldav" {
    redirect = "/remote.php/dav/"
    status   = 301
    exact    = true
  }
}

service "collabora" { upstream = 9980 }

#> GET /cool/a%2Fb/ws?x=1 | /cool | :9980 /cool/a%2Fb/ws?x=1
#> GET /push/ws | /push | :7867 /ws | X-Forwarded-Prefix: /push
#> GET /onlyoffice/web-apps/a | /onlyoffice | :8082 /web-apps/a | X-Forwarded-Host: nextcloud.localhost/onlyoffice
#> GET /.well-known/carddav | /.well-known/carddav (exact) | 301 /remote.php/dav/
#> GET /.well-known/webfinger | / | :8000 /.well-known/webfinger
#> PROPFIND /remote.php/dav/files/a | / | :8000 /remote.php/dav/files/a
