# nginx: mastodon/mastodon, dist/nginx.conf
host "mastodon.localhost" {
  upstream        = 3000
  max_body        = "80MB"
  compress        = true
  request_headers = { X-Real-IP = "{client}" }

  route "/sw.js" {
    files            = "public/sw.js"
    exact            = true
    response_headers = { Cache-Control = "public, max-age=604800, must-revalidate" }
  }
  route "/assets" { files = "public/assets" }
  route "/avatars" { files = "public/avatars" }
  route "/emoji" { files = "public/emoji" }
  route "/packs" {
    files            = "public/packs"
    response_headers = { Cache-Control = "public, max-age=2419200, must-revalidate" }
  }
  route "/system" { files = "public/system" }
  route "/api/v1/streaming" { upstream = 4000 }
}

#+ public/sw.js
#+ public/packs/js/common.js
#+ public/assets/a.css
#+ public/avatars/a.png
#+ public/emoji/1f600.svg
#+ public/system/a.png

#> GET /sw.js | /sw.js (exact) | file public/sw.js | Cache-Control: public, max-age=604800, must-revalidate
#> GET /packs/js/common.js | /packs | files public/packs /js/common.js
#> GET /api/v1/streaming/user | /api/v1/streaming | :4000 /api/v1/streaming/user
#> GET /api/v1/timelines/home?limit=20 | / | :3000 /api/v1/timelines/home?limit=20 | X-Real-Ip: 127.0.0.1
#> GET /@Gargron | / | :3000 /@Gargron
