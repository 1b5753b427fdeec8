# Apache: the proxy settings of Collabora Online's documentation
host "collabora.localhost" {
  route "/browser" { upstream = service.coolwsd }
  route "/hosting/discovery" { upstream = service.coolwsd }
  route "/hosting/capabilities" { upstream = service.coolwsd }
  route "/cool" { upstream = service.coolwsd }
  route "/cool/*/ws" {
    upstream = service.coolwsd
    hold     = "0s"
  }
  route "/lool" {
    upstream = service.coolwsd
    rewrite  = "/cool{rest}"
  }
}

service "coolwsd" { upstream = 9980 }

#> GET /browser/dist/cool.html | /browser | :9980 /browser/dist/cool.html
#> GET /hosting/discovery | /hosting/discovery | :9980 /hosting/discovery
#> GET /cool/https%3A%2F%2Fa%2Fwopi%2F1/ws | /cool/*/ws | :9980 /cool/https%3A%2F%2Fa%2Fwopi%2F1/ws
#> GET /cool/https:a/ws?x=1 | /cool/*/ws | :9980 /cool/https:a/ws?x=1
#> GET /cool/adminws | /cool | :9980 /cool/adminws
#> POST /lool/convert-to | /lool | :9980 /cool/convert-to
#> GET /hosting | | 404
