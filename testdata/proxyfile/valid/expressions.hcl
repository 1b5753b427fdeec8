locals {
  strings = [
    chomp("a\n"), format("%s-%03d", "a", 7), join("-", ["a", "b"]), lower("A"), replace("aXb", "X", "-"), split(",", "a,b")[1],
    strlen("äöü"), substr("hello", 1, 3), title("a b"), trim("--a--", "-"), trimprefix("ab", "a"), trimspace(" a "), trimsuffix("ab", "b"), upper("a"),
  ]
  lists = [
    coalesce(null, "a"), compact(["a", ""]), concat([1], [2]), contains([1], 1), distinct([1, 1]), element([1, 2], 3), flatten([[1], [2]]),
    keys({ a = 1 }), length([1]), lookup({ a = 1 }, "b", 2), merge({ a = 1 }, { b = 2 }), range(3), reverse([1, 2]), slice([1, 2, 3], 0, 2), sort(["b", "a"]), values({ a = 1 }), zipmap(["a"], [1]),
  ]
  numbers = [abs(-1), ceil(1.2), floor(1.8), max(1, 2), min(1, 2), parseint("ff", 16), 7 % 3, 2 * 3 + 1]
  others  = [env("UNSET", "default"), env("SET"), jsondecode("{\"a\":1}").a, jsonencode([1]), tobool("true"), tonumber("1"), tostring(1), url("shop.localhost")]
  for     = { for i, name in ["a", "b"] : name => 3000 + i if name != "" }
  text    = "%{for n in ["a", "b"]}${n}%{endfor}%{if true}!%{endif}"
  heredoc = <<-EOT
    two
    lines
  EOT
}

host "shop.localhost" {
  upstream = [for port in values(local.for) : port]

  response_headers = { X-Text = local.text, X-Env = env("SET"), X-All = join(",", [for s in local.strings : tostring(s)]) }

  route "/body" { respond = { body = local.heredoc } }
  route "/number" { respond = 200 + local.numbers[0] + 3 }
  route "/list" { respond = { body = jsonencode(local.lists), headers = { X-Others = jsonencode(local.others) } } }
  route "/dynamic" { upstream = service["web"] }
  route "/each" { upstream = [for name in ["web"] : service[name].port] }
}

service "web" { upstream = 5173 }
