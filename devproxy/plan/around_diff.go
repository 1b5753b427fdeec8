package plan

import (
	"fmt"
	"reflect"
	"slices"
)

// aroundDifferences says what is put around b's answer in another way than
// around a's. Hashes are in none of it.
func aroundDifferences(a, b *Route) []string {
	var list []string
	add := func(differ bool, name, from, to string) {
		if differ {
			list = append(list, name+" "+from+" -> "+to)
		}
	}
	if !slices.Equal(a.Access.Allow, b.Access.Allow) {
		list = append(list, "allow changed")
	}
	if !slices.Equal(a.Access.Deny, b.Access.Deny) {
		list = append(list, "deny changed")
	}
	add(differ(a.RateLimit, b.RateLimit), "rate_limit", said(a.RateLimit), said(b.RateLimit))
	if differ(a.CORS, b.CORS) {
		list = append(list, "cors changed")
	}
	if !slices.Equal(a.Users, b.Users) {
		list = append(list, "basic_auth changed")
	}
	add(a.MaxBody != b.MaxBody, "max_body", bodySize(a), bodySize(b))
	add(a.Compress != b.Compress, "compress", fmt.Sprint(a.Compress), fmt.Sprint(b.Compress))
	add(differ(a.Cache, b.Cache), "cache", said(a.Cache), said(b.Cache))
	add(differ(a.Simulate, b.Simulate), "simulate", said(a.Simulate), said(b.Simulate))
	return list
}

// differ compares two settings that may be absent.
func differ[T any](a, b *T) bool { return !reflect.DeepEqual(a, b) }

// said is a setting in words; "none" where it is absent.
func said[T any, P interface {
	*T
	fmt.Stringer
}](setting P) string {
	if setting == nil {
		return "none"
	}
	return setting.String()
}

func bodySize(r *Route) string {
	if r.MaxBody == 0 {
		return "none"
	}
	return FormatSize(r.MaxBody)
}

// upstreamDifferences says in what two upstreams of the same addresses differ.
func upstreamDifferences(a, b *Upstream) []string {
	var list []string
	if a.Balance != b.Balance {
		list = append(list, fmt.Sprintf("balance %s -> %s", a.Balance, b.Balance))
	}
	if differ(a.Health, b.Health) {
		list = append(list, "health changed")
	}
	if from, to := fallbackText(a), fallbackText(b); from != to {
		list = append(list, fmt.Sprintf("fallback %s -> %s", from, to))
	}
	if len(list) == 0 {
		list = append(list, b.Text+" reached differently")
	}
	return list
}

func fallbackText(u *Upstream) string {
	if len(u.Fallback) == 0 {
		return "none"
	}
	return textOf(u.Fallback)
}
