package plan

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/devproxy/devproxy/hcl"
)

// upstream resolves u as far as that goes without asking anybody: names other
// than those of this machine are left to the dialler. authority is the Host
// that the route asks for; empty means it does not.
func (b *builder) upstream(u *hcl.Upstream, authority string, skipVerify bool) *Upstream {
	spec := &Upstream{Balance: BalanceRoundRobin}
	spec.Members = b.members(u, authority, skipVerify)
	if s := u.Service; s != nil {
		spec.Balance = cmp.Or(s.Balance, BalanceRoundRobin)
		spec.Health = health(s.Health)
		spec.Fallback = b.fallback(s, authority, skipVerify)
	}
	spec.Key = spec.key()
	spec.Text = textOf(spec.Members)
	return spec
}

func (b *builder) members(u *hcl.Upstream, authority string, skipVerify bool) []Member {
	var list []Member
	for _, m := range u.Members {
		member := resolve(m, authority, skipVerify)
		if m.Socket != "" {
			member.Within = b.effects.boundary(realSocket(m))
		}
		b.findLoop(m, member)
		list = append(list, member)
	}
	return list
}

// fallback are the addresses that answer when no member of s does, and after
// them those of a service that is the fallback and has one itself.
func (b *builder) fallback(s *hcl.Service, authority string, skipVerify bool) []Member {
	var list []Member
	for s != nil && s.Fallback != nil {
		next := s.Fallback.Service
		skip := skipVerify
		if next != nil && next.TLSSkipVerify != nil {
			skip = *next.TLSSkipVerify
		}
		list = append(list, b.members(s.Fallback, authority, skip)...)
		s = next
	}
	return list
}

func health(h *hcl.Health) *Health {
	if h == nil {
		return nil
	}
	return &Health{Path: h.Path, Interval: h.Interval, Timeout: h.Timeout, Rise: h.Rise, Fall: h.Fall, Status: h.Status}
}

// key is the spec as text. The order of a list has no say in which connections
// it is made of; that of fallbacks says who is asked first.
func (u *Upstream) key() string {
	var members []string
	for _, m := range u.Members {
		members = append(members, m.key())
	}
	slices.Sort(members)
	key := strings.Join(members, " | ")
	if u.Balance != BalanceRoundRobin {
		key += " balance=" + string(u.Balance)
	}
	if u.Health != nil {
		key += " health=" + u.Health.spec()
	}
	for _, m := range u.Fallback {
		key += " fallback=" + m.key()
	}
	return key
}

func textOf(members []Member) string {
	var texts []string
	for _, m := range members {
		texts = append(texts, m.Text)
	}
	return strings.Join(texts, ", ")
}

func resolve(m hcl.Member, authority string, skipVerify bool) Member {
	keep := authority == hcl.KeepHost
	if keep {
		authority = ""
	}
	member := Member{Scheme: m.Scheme, Authority: authority, SkipVerify: skipVerify, Text: m.Text}
	if m.Socket != "" {
		member.Network, member.Addrs = "unix", []string{m.Socket}
	} else {
		member.Network, member.Addrs = "tcp", dialAddrs(m.Host, m.Port)
	}
	local := m.Socket != "" || isLoopback(m.Host)
	if !local && authority == "" && !keep {
		member.Authority = authorityOf(m)
	}
	if m.Scheme != hcl.SchemeHTTPS {
		// Without TLS there is nothing to verify: the same address with and
		// without tls_skip_verify is the same upstream.
		member.SkipVerify = false
		return member
	}
	member.SkipVerify = skipVerify || local
	member.ServerName = serverName(m.Host, authority)
	return member
}

// key is m as text, without what is for people only.
func (m *Member) key() string {
	key := fmt.Sprintf("%s %s %s", m.Scheme, m.Network, strings.Join(m.Addrs, ","))
	if m.Within != "" {
		key += " within=" + m.Within
	}
	if m.Authority != "" {
		key += " host=" + m.Authority
	}
	if m.ServerName != "" {
		key += " tls=" + m.ServerName
	}
	if m.SkipVerify {
		key += " unverified"
	}
	return key
}

// dialAddrs are the addresses to try for a host, in order. localhost and all
// below it are the loopback addresses whatever a resolver says (RFC 6761
// section 6.3), and so is "any address", which people copy from a dev server's
// output.
func dialAddrs(host string, port uint16) []string {
	p := strconv.Itoa(int(port))
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if host == "" || isLocalhost(host) || err == nil && ip.IsUnspecified() {
		return []string{net.JoinHostPort("127.0.0.1", p), net.JoinHostPort("::1", p)}
	}
	if err == nil {
		host = ip.Unmap().String()
	}
	return []string{net.JoinHostPort(host, p)}
}

// isLoopback reports whether host is this machine, without asking a resolver.
func isLoopback(host string) bool {
	if host == "" || isLocalhost(host) {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && (ip.Unmap().IsLoopback() || ip.IsUnspecified())
}

func isLocalhost(host string) bool {
	host = normal(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// authorityOf is the member's own host and port, without the port that its
// scheme has anyway (RFC 9110 section 4.2).
func authorityOf(m hcl.Member) string {
	host := strings.Trim(m.Host, "[]")
	usual := uint16(80)
	if m.Scheme == hcl.SchemeHTTPS {
		usual = 443
	}
	if m.Port != usual {
		return net.JoinHostPort(host, strconv.Itoa(int(m.Port)))
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// serverName is the name that the upstream's certificate is asked for and
// verified against.
func serverName(host, authority string) string {
	if authority != "" {
		host = authority
		if name, _, err := net.SplitHostPort(authority); err == nil {
			host = name
		}
	}
	if host == "" {
		return "localhost"
	}
	return strings.Trim(host, "[]")
}

// findLoop reports a member that is one of devproxy's own listeners.
func (b *builder) findLoop(written hcl.Member, m Member) {
	for _, addr := range m.Addrs {
		to, err := netip.ParseAddrPort(addr)
		if err != nil {
			continue // a name, or the path of a unix socket
		}
		for _, bound := range b.env.Bound {
			if to.Port() == bound.Port() && (to.Addr() == bound.Addr().Unmap() || to.Addr().IsLoopback() && bound.Addr().IsUnspecified()) {
				b.errorf(written.Range, "write the port that your dev server listens on",
					"upstream %s is devproxy itself", written.Text)
				return
			}
		}
	}
}
