# nginx: penpot/penpot, docker/images/files/nginx.conf
host "penpot.localhost" {
  files            = "app"
  max_body         = "100MB"
  compress         = true
  request_headers  = { X-Real-IP = "{client}", X-Scheme = "https" }
  response_headers = { Cache-Control = "no-cache, max-age=0" }

  route "/js" {
    files            = "app/js"
    response_headers = { Cache-Control = "max-age=86400" }
  }
  route "/assets" { upstream = service.backend }
  route "/api" { upstream = service.backend }
  route "/api/export" { upstream = 6061 }
  route "/admin" { upstream = 6065 }
  route "/ws/notifications" { upstream = service.backend }
}

service "backend" { upstream = 6060 }

#+ app/index.html
#+ app/js/main.js

#> GET / | / | files app /
#> GET /js/main.js | /js | files app/js /main.js | Cache-Control: max-age=86400
#> POST /api/rpc/command/login | /api | :6060 /api/rpc/command/login | X-Real-Ip: 127.0.0.1
#> POST /api/export | /api/export | :6061 /api/export | X-Scheme: https
#> GET /ws/notifications | /ws/notifications | :6060 /ws/notifications
