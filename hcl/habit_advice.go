package hcl

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// shown returns the advice to write lines.
func shown(lines []string) string {
	if len(lines) == 1 {
		return "write " + lines[0]
	}
	return "write:\n" + strings.Join(lines, "\n")
}

// contents returns the attribute that goes into a block for text, which is an
// attribute or an address. It is empty if text is neither.
func contents(text string) string {
	text = strings.TrimRight(text, ";, \t")
	if m := setting.FindStringSubmatch(text); m != nil && isAttribute(m[1]) {
		return m[1] + " = " + m[2]
	}
	if upstream := upstreamForm(text); upstream != "" {
		return "upstream = " + upstream
	}
	return ""
}

var reference = regexp.MustCompile(`^(?:service|local)\.[\w-]+$`)

// upstreamForm returns an address of another tool as the value of upstream. It is
// empty if text is not an address.
func upstreamForm(text string) string {
	text = strings.Trim(text, `"'`+"`")
	if reference.MatchString(text) {
		return text
	}
	if envExpression(text) != "" {
		return envExpression(text)
	}
	upstream, prefix := sketchUpstream(text)
	if prefix != "" && prefix != "/" {
		return ""
	}
	return upstream
}

// routeAdvice returns the advice for a path that has an address or attribute, in a
// block of the kind inside.
func routeAdvice(path, has, inside string) string {
	at := pathPrefix(path)
	if at == "" {
		at = "/"
	}
	has, _, _ = strings.Cut(has, ", ")
	form := contents(has)
	if form == "" {
		form = contents(strings.TrimSpace(strings.Trim(has, "{} \t")))
	}
	if at == "/" && inside == "host" && strings.HasPrefix(form, "upstream") {
		return "write " + form
	}
	where := ""
	if inside != "host" {
		where = " in a host"
	}
	if form == "" {
		return "write route " + Quote(at) + " {" + where
	}
	return "write route " + Quote(at) + " { " + form + " }" + where
}

func hostAdvice(name, has string) string {
	form := contents(has)
	if form == "" {
		form = contents(strings.TrimSpace(strings.Trim(has, "{} \t")))
	}
	if form == "" {
		return fmt.Sprintf("write host %q {", name)
	}
	return fmt.Sprintf("write host %q { %s }", name, form)
}

// upstreamAdvice returns the advice for an upstream in a block of the kind inside.
func upstreamAdvice(form, inside string) string {
	if inside == "" {
		return `write host "shop.localhost" { upstream = ` + form + " }"
	}
	return "write upstream = " + form
}

// upstreamsForm returns the value of upstream for the addresses among args, and a
// remark to add to the advice.
func upstreamsForm(args []string) (form, rest string) {
	var forms []string
	for _, arg := range args {
		if socket, found := strings.CutPrefix(arg, "unix/"); found {
			forms = append(forms, Quote("unix:"+socket))
			continue
		}
		upstream, prefix := sketchUpstream(arg)
		if upstream == "" {
			continue
		}
		if prefix = strings.TrimSuffix(prefix, "/"); prefix != "" {
			rest = "; for the path, rewrite = " + Quote(prefix+"{rest}")
		}
		forms = append(forms, upstream)
	}
	switch len(forms) {
	case 0:
		return "3000", "; 3000 is the port of your server"
	case 1:
		return forms[0], rest
	}
	return "[" + strings.Join(forms, ", ") + "]", rest
}

// rewriteAdvice returns the advice for a rewrite to a path.
func rewriteAdvice(last string, args []string, inside string) string {
	if len(args) > 1 && slices.Contains([]string{"break", "last"}, last) {
		last = args[len(args)-2]
	}
	where := ""
	if inside != "route" {
		where = " in a route"
	}
	to := strings.NewReplacer("/$1", "{rest}", "/{path}", "{rest}", "{uri}", "{rest}").Replace(last)
	switch {
	case to == "{rest}":
		return "write strip_prefix = true" + where
	case strings.HasPrefix(to, "/") && !strings.ContainsAny(strings.ReplaceAll(to, "{rest}", ""), "${}*^?#"):
		return "write rewrite = " + Quote(to) + where
	}
	return `write rewrite = "/v1{rest}"` + where
}

// answerAdvice returns the advice for a redirect or a fixed response.
func answerAdvice(args []string) string {
	status, body := 0, ""
	for _, arg := range args {
		if n, err := strconv.Atoi(arg); err == nil && n >= 200 && n < 600 {
			status = n
		} else if strings.HasPrefix(arg, "/") || strings.Contains(arg, "://") {
			to := arg
			for _, variable := range []string{"$request_uri", "{uri}", "{$uri}", "$uri"} {
				to = strings.ReplaceAll(to, variable, "{rest}")
			}
			if !strings.ContainsAny(strings.ReplaceAll(to, "{rest}", ""), "${}*^()") {
				return "write redirect = " + Quote(to)
			}
			return `write redirect = "https://example.com{rest}"`
		} else {
			body = strings.TrimSpace(body + " " + arg)
		}
	}
	if body == "" && status != 0 {
		return fmt.Sprintf("write respond = %d", status)
	}
	if status == 0 {
		status = 200
	}
	return fmt.Sprintf("write respond = { status = %d, body = %s }", status, Quote(body))
}
