# nginx: discourse/discourse, config/nginx.sample.conf
host "discourse.localhost" {
  upstream        = ["unix:tmp/sockets/thin.0.sock", "unix:tmp/sockets/thin.1.sock"]
  try_files       = "public"
  max_body        = "10MB"
  compress        = true
  request_headers = { X-Real-IP = "{client}" }

  route "/backups" { respond = 404 }
  route "/favicon.ico" { respond = 204 }
  route "/assets" { response_headers = { Cache-Control = "public,immutable" } }
  route "/plugins" { response_headers = { Cache-Control = "public,immutable" } }
  route "/letter_avatar_proxy" {
    upstream         = "https://avatars.discourse.org"
    strip_prefix     = true
    request_headers  = { Cookie = null }
    response_headers = { Set-Cookie = null }
  }
}

#+ public/robots.txt
#+ public/assets/app.js

#> GET /robots.txt | / | try_files public /robots.txt
#> POST /robots.txt | / | unix:tmp/sockets/thin.0.sock, unix:tmp/sockets/thin.1.sock /robots.txt
#> GET /assets/app.js | /assets | try_files public /assets/app.js | Cache-Control: public,immutable
#> GET /assets/gone.js | /assets | unix:tmp/sockets/thin.0.sock, unix:tmp/sockets/thin.1.sock /assets/gone.js
#> GET /favicon.ico | /favicon.ico | 204
#> GET /backups/default/a.tar.gz | /backups | 404
#> GET /letter_avatar_proxy/v4/letter/a.png | /letter_avatar_proxy | https://avatars.discourse.org /v4/letter/a.png | Host: avatars.discourse.org
#> GET /t/topic/1 | / | unix:tmp/sockets/thin.0.sock, unix:tmp/sockets/thin.1.sock /t/topic/1 | X-Real-Ip: 127.0.0.1
