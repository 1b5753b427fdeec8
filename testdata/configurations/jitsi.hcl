# nginx: jitsi/jitsi-meet, doc/debian/jitsi-meet/jitsi-meet.example
host "jitsi.localhost" {
  files    = "web"
  spa      = true
  compress = true

  route "/config.js" {
    files = "etc/config.js"
    exact = true
  }
  route "/*/config.js" {
    files = "etc/config.js"
    exact = true
  }
  route "/external_api.js" {
    files = "web/libs/external_api.min.js"
    exact = true
  }
  route "/libs" {
    files            = "web/libs"
    response_headers = { Access-Control-Allow-Origin = "https://{host}" }
  }
  route "/http-bind" {
    upstream = 5280
    exact    = true
  }
  route "/xmpp-websocket" {
    upstream = 5280
    exact    = true
  }
  route "/*/http-bind" {
    upstream = 5280
    rewrite  = "/http-bind"
  }
  route "/*/xmpp-websocket" {
    upstream = 5280
    rewrite  = "/xmpp-websocket"
  }
}

#+ etc/config.js
#+ web/index.html
#+ web/libs/external_api.min.js

#> GET /config.js | /config.js (exact) | file etc/config.js
#> GET /tenant/config.js | /*/config.js (exact) | file etc/config.js
#> GET /external_api.js | /external_api.js (exact) | file web/libs/external_api.min.js
#> GET /libs/app.bundle.min.js?v=1 | /libs | files web/libs /app.bundle.min.js | Access-Control-Allow-Origin: https://jitsi.localhost
#> POST /http-bind?room=a | /http-bind (exact) | :5280 /http-bind?room=a
#> POST /tenant/http-bind?room=a | /*/http-bind | :5280 /http-bind?room=a
#> GET /tenant/xmpp-websocket | /*/xmpp-websocket | :5280 /xmpp-websocket
#> GET /MyRoom | / | files web /MyRoom
