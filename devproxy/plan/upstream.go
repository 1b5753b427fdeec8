package plan

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devproxy/devproxy/hcl"
)

// Upstream answers by forwarding. Two upstreams with equal Key are the same one:
// connections and state are shared between them, and survive a change of the
// plan.
type Upstream struct {
	// Key is the resolved upstream as text: addresses, protocol, TLS, balance.
	Key     string
	Members []Member
	Text    string // for people: ":5173", ":3000, :3001"
	Balance Balance
	Health  *Health // nil means no health checks
	// Fallback are the addresses that are tried, in order, when no member
	// answers. They are part of Key.
	Fallback []Member
	// Group is set if Members are containers; else nil. It is not part of Key.
	Group *Group
}

// Balance is how requests are spread over members.
type Balance = hcl.Balance

// The forms of balance.
const (
	BalanceRoundRobin = hcl.BalanceRoundRobin
	BalanceLeastConn  = hcl.BalanceLeastConn
	BalanceCookie     = hcl.BalanceCookie
)

// Health is the health check of an upstream's members.
type Health struct {
	Path       string // with its query
	Interval   time.Duration
	Timeout    time.Duration // of one GET
	Rise, Fall int           // successes, failures in a row
	Status     int           // of a healthy member; 0 means 200 to 399
}

// String returns the check and its interval: "GET /healthz every 2s".
func (h *Health) String() string {
	return fmt.Sprintf("GET %s every %s", h.Path, h.Interval)
}

// key returns all of h, as part of an upstream's key.
func (h *Health) key() string {
	return fmt.Sprintf("%s %s %s %d %d %d", h.Path, h.Interval, h.Timeout, h.Rise, h.Fall, h.Status)
}

// Scheme is the protocol of an upstream, as the Proxyfile has it.
type Scheme = hcl.Scheme

// The schemes of an upstream.
const (
	SchemeHTTP  = hcl.SchemeHTTP
	SchemeHTTPS = hcl.SchemeHTTPS
	SchemeH2C   = hcl.SchemeH2C
)

// Member is one address of an upstream.
type Member struct {
	Scheme Scheme
	// Network is "tcp", "unix" or NetworkNone. Addrs are dialled in order until one
	// answers: "127.0.0.1:5173" and "[::1]:5173" for a port, a path for unix.
	Network string
	Addrs   []string
	// Authority is the Host header and, with https, the SNI towards the
	// upstream; empty keeps the client's Host.
	Authority string
	// ServerName is the TLS name; empty without TLS.
	ServerName string
	// SkipVerify accepts any certificate: a self-signed one of an upstream on
	// loopback, or where tls_skip_verify says so.
	SkipVerify bool
	Text       string // ":5173"
	// Within is the folder, with links resolved, that a unix socket must stay in,
	// or its own real path; empty for tcp.
	Within string
	// Unhealthy says why the engine of a container calls it unhealthy; empty for any other
	// member. It is not part of an upstream's key: it changes while connections stay.
	Unhealthy string
}

// LocalPort returns the port of m, a port of this machine; 0 for any other member.
func (m Member) LocalPort() int {
	if m.Network != "tcp" {
		return 0
	}
	at, err := netip.ParseAddrPort(m.Addrs[0])
	if err != nil || !at.Addr().IsLoopback() {
		return 0
	}
	return int(at.Port())
}

// LocalPort returns the LocalPort of the only member of u; 0 with several.
func (u *Upstream) LocalPort() int {
	if len(u.Members) != 1 {
		return 0
	}
	return u.Members[0].LocalPort()
}

// key returns m as text, without the parts that are only for people.
func (m Member) key() string {
	key := fmt.Sprintf("%s %s %s", m.Scheme, m.Network, strings.Join(m.Addrs, ","))
	for _, part := range []struct{ name, value string }{{"within", m.Within}, {"host", m.Authority}, {"tls", m.ServerName}} {
		if part.value != "" {
			key += " " + part.name + "=" + part.value
		}
	}
	if m.SkipVerify {
		key += " unverified"
	}
	return key
}

func (u *Upstream) String() string { return u.Text }

// spread describes how requests are spread over members, where that isn't the
// default.
func (u *Upstream) spread() []string {
	var lines []string
	if u.Balance != BalanceRoundRobin {
		lines = append(lines, "balance "+string(u.Balance))
	}
	if u.Health != nil {
		lines = append(lines, "health "+u.Health.key())
	}
	for _, m := range u.Fallback {
		lines = append(lines, "fallback "+m.key())
	}
	return lines
}

// key returns the upstream as text. Members in another order make the same
// upstream; fallbacks in another order don't, as they are tried in order.
func (u *Upstream) key() string {
	members := mapped(u.Members, Member.key)
	slices.Sort(members)
	return strings.Join(append([]string{strings.Join(members, " | ")}, u.spread()...), "; ")
}

func textOf(members []Member) string {
	return strings.Join(mapped(members, func(m Member) string { return m.Text }), ", ")
}

// upstream resolves u as far as that needs no resolver: names other than those
// of this machine are left to the dialler. authority is the Host that the route
// sets, or empty.
func (b *builder) upstream(u *hcl.Upstream, authority string, skipVerify bool) *Upstream {
	up := &Upstream{Balance: BalanceRoundRobin}
	up.Members, up.Group = b.members(u, authority, skipVerify)
	if s := u.Service; s != nil {
		up.Balance = cmp.Or(s.Balance, BalanceRoundRobin)
		if h := s.Health; h != nil && (up.Group == nil || up.Group.Absent == "") {
			up.Health = &Health{Path: h.Path, Interval: h.Interval, Timeout: h.Timeout, Rise: h.Rise, Fall: h.Fall, Status: h.Status}
		}
		up.Fallback = b.fallback(s, authority, skipVerify)
	}
	up.Key = up.key()
	up.Text = textOf(up.Members)
	if up.Group != nil {
		up.Text = up.Group.String()
	}
	return up
}

// members returns the members of u, and the group of containers that they are, if any.
func (b *builder) members(u *hcl.Upstream, authority string, skipVerify bool) ([]Member, *Group) {
	if s := u.Service; s != nil && s.Container != nil {
		all, labelled := b.labelled[s]
		if !labelled {
			all = b.env.Containers.of(s.Container.Service)
		}
		return b.containers(s.Container, all, authority)
	}
	var list []Member
	for _, m := range u.Members {
		member := resolve(m, authority, skipVerify)
		if m.Socket != "" {
			member.Within = b.effects.boundary(realSocket(m))
		}
		b.findLoop(m, member)
		list = append(list, member)
	}
	return list, nil
}

// fallback returns the addresses that answer when no member of s does: its
// fallback, and then the fallback of that service.
func (b *builder) fallback(s *hcl.Service, authority string, skipVerify bool) []Member {
	var list []Member
	for s != nil && s.Fallback != nil {
		next := s.Fallback.Service
		skip := skipVerify
		if next != nil && next.TLSSkipVerify != nil {
			skip = *next.TLSSkipVerify
		}
		members, _ := b.members(s.Fallback, authority, skip)
		list = append(list, members...)
		s = next
	}
	return list
}

func resolve(m hcl.Member, authority string, skipVerify bool) Member {
	keep := authority == hcl.KeepHost
	if keep {
		authority = ""
	}
	member := Member{Scheme: m.Scheme, Authority: authority, Text: m.Text}
	local := m.Socket != "" || isLoopback(m.Host)
	if m.Socket != "" {
		member.Network, member.Addrs = "unix", []string{m.Socket}
	} else {
		member.Network, member.Addrs = "tcp", dialAddrs(m.Host, m.Port)
	}
	if !local && authority == "" && !keep {
		member.Authority = hostPort(string(m.Scheme), strings.Trim(m.Host, "[]"), strconv.Itoa(int(m.Port)))
	}
	if m.Scheme == hcl.SchemeHTTPS {
		// Without TLS nothing is verified: the same address with and without
		// tls_skip_verify is then the same upstream.
		member.SkipVerify = skipVerify || local
		member.ServerName = serverName(m.Host, authority)
	}
	return member
}

// dialAddrs returns the addresses to try for a host, in order. localhost and all
// names below it are the loopback addresses whatever a resolver says (RFC 6761
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

// isLoopback reports whether host is this machine, without a resolver.
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

// hostPort returns the authority of a URL, without the port that its scheme
// implies (RFC 9110 section 4.2).
func hostPort(scheme, host, port string) string {
	implied := map[string]string{"http": "80", "https": "443", "h2c": "80"}[scheme]
	switch {
	case port != "" && port != implied:
		return net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		return "[" + host + "]"
	}
	return host
}

// serverName returns the name that the upstream's certificate is verified
// against.
func serverName(host, authority string) string {
	if authority != "" {
		host = withoutPort(authority)
	}
	return strings.Trim(cmp.Or(host, "localhost"), "[]")
}

// withoutPort returns authority without its port.
func withoutPort(authority string) string {
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		return authority
	}
	return host
}

// findLoop reports a member that is one of devproxy's own listeners.
func (b *builder) findLoop(written hcl.Member, m Member) {
	if slices.ContainsFunc(m.Addrs, b.env.isOwn) {
		b.errorf(written.Range, "write the port that your dev server listens on", "upstream %s is devproxy itself", written.Text)
	}
}

// isOwn reports whether devproxy itself listens on addr. It is false for a name, and for
// the path of a unix socket.
func (e Env) isOwn(addr string) bool {
	to, err := netip.ParseAddrPort(addr)
	return err == nil && slices.ContainsFunc(e.Bound, func(bound netip.AddrPort) bool {
		return to.Port() == bound.Port() && (to.Addr() == bound.Addr().Unmap() || to.Addr().IsLoopback() && bound.Addr().IsUnspecified())
	})
}
