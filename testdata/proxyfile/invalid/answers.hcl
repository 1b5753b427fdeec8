host "a.localhost" {} # ERROR: host "a.localhost" answers with nothing
host "b.localhost" {
  upstream = 1
  respond  = 204 # ERROR: host "b.localhost" has two answers, upstream and respond
}
host "c.localhost" {
  route "/a" { timeout = "1s" } # ERROR: route "/a" answers with nothing
  route "/b" {
    files    = "." 
    upstream = 1 # ERROR: route "/b" has two answers, files and upstream
  }
  route "/c" {
    upstream = 1
    spa      = true # ERROR: spa goes with files
    status   = 301 # ERROR: status goes with redirect
  }
  route "/d" { files = { dir = "." } } # ERROR: files is a folder's name
  route "/e" { files = "" } # ERROR: the name of a folder is empty
  route "/f" { files = "~/x" } # ERROR: "~" is not expanded
  route "/g" { files = "answers.hcl" } # ERROR: "answers.hcl" is not a folder
  route "/h" { redirect = "docs" } # ERROR: a redirect is a URL, or a path that begins with "/"
  route "/i" { redirect = "example.com/x" } # ERROR: a redirect is a URL, or a path that begins with "/"
  route "/j" { redirect = "//example.com" } # ERROR: a redirect's URL has a scheme
  route "/k" { redirect = "/x{path}" }
  route "/l" { redirect = "ftp://x/y" } # ERROR: "ftp://x/y" is no address of the web
  route "/m" { redirect = "https://" } # ERROR: "https://" is no URL
  route "/n" {
    redirect = "/x"
    status   = 200 # ERROR: 200 is no status of a redirect
  }
  route "/o" { redirect = { to = "/x" } } # ERROR: redirect is a URL or a path
  route "/p" { respond = 99 } # ERROR: 99 is no status
  route "/q" { respond = "204" } # ERROR: a status is a number
  route "/r" { respond = "hello" } # ERROR: a status is a number
  route "/s" { respond = { stauts = 204 } } # ERROR: unknown field "stauts" in respond
  route "/t" { respond = { status = 204, body = "x" } } # ERROR: a 204 has no body
  route "/u" { respond = { headers = { A = null } } } # ERROR: there is no A to remove here
  route "/v" { respond = { body = [] } } # ERROR: body is a string
  route "/w" { redirect = 1 } # ERROR: redirect is a string
  route "/x" { redirect = "https://{rest}example.com/" } # ERROR: {rest} is what a visitor writes, and must not be a part of a host
  route "/y" { redirect = "https://example.com{rest}.evil.example?x" } # ERROR: {rest} is what a visitor writes, and must not be a part of a host
  route "/z" { redirect = "https://example.com/{rest}/z" }
  route "/z2" { redirect = "/login?to=https://{rest}x" }
}
