host "shop.localhost" {
  upstream = 8000
  request_headers = {
    X-Real-IP = "{client}"
    X-Hook    = "https://{host}/hooks{rest}"
    X-Trace   = "{{id}} is {id}"
    X-Secret  = env("SET", "{host}")
    Host      = "{host}"
    Report-To = "{\"group\":\"default\",\"endpoints\":[{\"url\":\"https://{host}/r\"}]}"
  }
  response_headers = { X-Request-Id = "{id}" }

  route "/login" { redirect = "/session/new?next={uri}" }
  route "/www" { redirect = "https://www.{host}{uri}" }
  route "/*/wiki" {
    redirect = "{path}/"
    exact    = true
  }
  route "/search" { redirect = "/find?{query}#top" }
}
